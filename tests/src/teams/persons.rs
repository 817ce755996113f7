//! What people allow or refuse the app for themselves: to act in their name, to write to them.

use super::control::Control;

impl Control {
    /// Somebody lets the app act in their name: the refresh token that comes of it, good for one use.
    pub fn login_of(&self, user: &str) -> String {
        let mut state = self.state();
        let refresh = state.ids.secret("refresh");
        let index = state.apps.iter().position(|one| one.app.app_id == self.app.app_id);
        let entry = (index.unwrap_or_default(), user.to_owned());
        state.codes.insert(refresh.clone(), entry);
        refresh
    }

    /// The app may no longer act in somebody's name: all their tokens are worth nothing.
    pub fn revoke_login(&self, user: &str) {
        let mut state = self.state();
        state.codes.retain(|_, (_, whose)| whose != user);
        state.tokens.retain(|_, token| token.user.as_deref() != Some(user));
    }

    /// Whether somebody may have the app for themselves, so that its bot can write to them. Everybody may at first.
    pub fn set_personal(&self, user: &str, allowed: bool) {
        let mut state = self.state();
        if allowed {
            state.without_app.remove(user);
        } else {
            state.without_app.insert(user.to_owned());
        }
    }
}
