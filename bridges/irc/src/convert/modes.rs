//! Channel modes: what a server announces about them, and changes to them.

use viaduct_model::Role;

/// Which modes a server has, from its `PREFIX` and `CHANMODES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeTable {
    /// The modes of members with their signs, highest first.
    prefix: Vec<(char, char)>,
    /// Modes that always have an argument.
    always: String,
    /// Modes that have an argument only when set.
    when_set: String,
}

impl Default for ModeTable {
    fn default() -> Self {
        Self {
            prefix: vec![('o', '@'), ('h', '%'), ('v', '+')],
            always: "beIqk".to_owned(),
            when_set: "lfjL".to_owned(),
        }
    }
}

/// One change of one mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeChange {
    /// Whether it was set.
    pub set: bool,
    /// The mode.
    pub mode: char,
    /// Its argument.
    pub argument: Option<String>,
}

impl ModeTable {
    /// Takes the value of `PREFIX`, such as `(ohv)@%+`. A malformed one is ignored.
    pub fn set_prefix(&mut self, value: &str) {
        if value.is_empty() {
            self.prefix.clear();
        }
        let Some((modes, signs)) = value.strip_prefix('(').and_then(|rest| rest.split_once(')')) else {
            return;
        };
        if modes.chars().count() == signs.chars().count() && modes.len() <= 16 {
            self.prefix = modes.chars().zip(signs.chars()).collect();
        }
    }

    /// Takes the value of `CHANMODES`, such as `beI,k,l,imnpst`.
    pub fn set_chanmodes(&mut self, value: &str) {
        let mut lists = value.split(',');
        let (lists_modes, always, when_set) = (lists.next(), lists.next(), lists.next());
        self.always = format!("{}{}", lists_modes.unwrap_or_default(), always.unwrap_or_default());
        when_set.unwrap_or_default().clone_into(&mut self.when_set);
    }

    /// Whether this mode is one of members.
    pub fn is_member_mode(&self, mode: char) -> bool {
        self.prefix.iter().any(|(known, _)| *known == mode)
    }

    /// Takes the signs off a name in a list of members, and tells their modes.
    pub fn strip<'a>(&self, name: &'a str) -> (&'a str, String) {
        let mut modes = String::new();
        let mut rest = name.chars();
        loop {
            let here = rest.as_str();
            let sign = rest.next();
            match self.prefix.iter().find(|(_, known)| Some(*known) == sign) {
                Some((mode, _)) => modes.push(*mode),
                None => return (here, modes),
            }
        }
    }

    /// The role these modes of a member make.
    pub fn role(&self, modes: &str) -> Role {
        let has = |wanted: &str| modes.chars().any(|mode| wanted.contains(mode));
        if has("qa") {
            Role::Admin
        } else if has("oh") {
            Role::Moderator
        } else if has("v") {
            Role::Voiced
        } else {
            Role::Member
        }
    }

    /// The modes to give and to take so that a member has a role, as far as the server has modes for it.
    pub fn for_role(&self, role: Role) -> (String, String) {
        let (give, take) = match role {
            Role::Admin | Role::Moderator => ("o", ""),
            Role::Voiced => ("v", "oh"),
            Role::Member | Role::Visitor => ("", "ohv"),
        };
        let known = |modes: &str| modes.chars().filter(|mode| self.is_member_mode(*mode)).collect();
        (known(give), known(take))
    }

    /// Reads the parameters of a mode change behind the channel's name. Arguments that are missing are none.
    pub fn changes<'a>(&self, parameters: impl IntoIterator<Item = &'a str>) -> Vec<ModeChange> {
        let mut parameters = parameters.into_iter();
        let mut out = Vec::new();
        let mut set = true;
        for mode in parameters.next().unwrap_or_default().chars() {
            match mode {
                '+' => set = true,
                '-' => set = false,
                mode => {
                    let takes = self.is_member_mode(mode)
                        || self.always.contains(mode)
                        || (set && self.when_set.contains(mode));
                    let argument = if takes {
                        parameters.next().map(str::to_owned)
                    } else {
                        None
                    };
                    out.push(ModeChange { set, mode, argument });
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn arguments_go_to_the_modes_that_take_them() {
        let mut table = ModeTable::default();
        table.set_prefix("(qov)~@+");
        table.set_chanmodes("beI,k,l,imnpst");
        let change = |set, mode, argument: Option<&str>| ModeChange {
            set,
            mode,
            argument: argument.map(str::to_owned),
        };
        assert_eq!(
            table.changes(["+mo-lv+k", "ann", "bo", "key"]),
            [
                change(true, 'm', None),
                change(true, 'o', Some("ann")),
                change(false, 'l', None),
                change(false, 'v', Some("bo")),
                change(true, 'k', Some("key")),
            ]
        );
        assert_eq!(table.strip("~@ann"), ("ann", "qo".to_owned()));
        assert_eq!(table.role("qo"), Role::Admin);
        assert_eq!(table.for_role(Role::Member), (String::new(), "ov".to_owned()));
    }

    proptest! {
        #[test]
        fn any_announcement_and_change_is_read(prefix in any::<String>(), modes in any::<String>(), change in any::<String>()) {
            let mut table = ModeTable::default();
            table.set_prefix(&prefix);
            table.set_chanmodes(&modes);
            let found = table.changes([change.as_str(), "a"]);
            prop_assert!(found.len() <= change.chars().count());
            prop_assert!(change.ends_with(table.strip(&change).0));
        }
    }
}
