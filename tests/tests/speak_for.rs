//! Somebody who is on Matrix and on a network with a login of their own speaks as themselves on both sides.

mod speak_for {
    mod slack;
    mod talk;
    mod teams;
}
