//! The ident service (RFC 1413): tells the IRC server which user one of our connections belongs to.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::client::dial::Ports;
use crate::config::Ident;

/// Connections remembered; the service is asked within seconds of each.
const REMEMBERED: usize = 4096;
/// The end of an answer about a connection that is not ours.
const NO_USER: &str = " : ERROR : NO-USER\r\n";
/// Questions answered at once.
const AT_ONCE: usize = 64;

/// How long a question about an unknown connection is kept: a server may ask before we have noticed that its connection is
/// made.
const GRACE: Duration = Duration::from_secs(2);

/// Which user each connection belongs to, by its two ports.
#[derive(Debug, Default)]
pub(crate) struct Table {
    users: Mutex<HashMap<(u16, u16), String>>,
    added: Notify,
}

impl Table {
    /// Notes a connection.
    pub(crate) fn add(&self, ports: Ports, user: &str) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() >= REMEMBERED {
            users.clear();
        }
        users.insert((ports.local, ports.remote), user.to_owned());
        drop(users);
        self.added.notify_waiters();
    }

    /// The answer to one question, as soon as the connection is known.
    async fn answer_when_known(&self, question: &str) -> String {
        let known = async {
            loop {
                let mut added = pin!(self.added.notified());
                added.as_mut().enable();
                let answer = self.answer(question);
                if !answer.ends_with(NO_USER) {
                    return answer;
                }
                added.await;
            }
        };
        let known = tokio::time::timeout(GRACE, known).await;
        known.unwrap_or_else(|_| self.answer(question))
    }

    /// The answer to one question, such as `51000, 6667`.
    pub(crate) fn answer(&self, question: &str) -> String {
        let ports = question
            .trim()
            .split_once(',')
            .and_then(|(local, remote)| Some((local.trim().parse::<u16>().ok()?, remote.trim().parse::<u16>().ok()?)));
        let Some((local, remote)) = ports else {
            return "0, 0 : ERROR : INVALID-PORT\r\n".to_owned();
        };
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        match users.get(&(local, remote)) {
            Some(user) => format!("{local}, {remote} : USERID : UNIX : {user}\r\n"),
            None => format!("{local}, {remote}{NO_USER}"),
        }
    }

    /// Listens, if configured, until the guard is dropped.
    pub(crate) async fn serve(
        self: &Arc<Self>,
        ident: Option<&Ident>,
        stop: &CancellationToken,
    ) -> Result<Option<DropGuard>, String> {
        let Some(ident) = ident else { return Ok(None) };
        let listener = TcpListener::bind(&ident.listen)
            .await
            .map_err(|error| format!("ident cannot listen at {}: {error}", ident.listen))?;
        let token = stop.child_token();
        tokio::spawn(listen(Arc::clone(self), listener, token.clone()));
        Ok(Some(token.drop_guard()))
    }
}

async fn listen(table: Arc<Table>, listener: TcpListener, stop: CancellationToken) {
    let mut answering = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = answering.join_next() => {}
            accepted = listener.accept(), if answering.len() < AT_ONCE => {
                if let Ok((stream, _)) = accepted {
                    let table = Arc::clone(&table);
                    answering.spawn(async move {
                        tokio::time::timeout(Duration::from_secs(10), reply(&table, stream)).await.ok();
                    });
                }
            }
        }
    }
}

async fn reply(table: &Table, mut stream: TcpStream) -> std::io::Result<()> {
    let mut question = Vec::new();
    while question.len() < 64 && !question.contains(&b'\n') {
        if stream.read_buf(&mut question).await? == 0 {
            break;
        }
    }
    let answer = table.answer_when_known(&String::from_utf8_lossy(&question)).await;
    stream.write_all(answer.as_bytes()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_for_its_own_connections_only() {
        let table = Table::default();
        table.add(
            Ports {
                local: 51000,
                remote: 6667,
            },
            "ann",
        );
        assert_eq!(
            table.answer("51000 , 6667\r\n"),
            "51000, 6667 : USERID : UNIX : ann\r\n"
        );
        assert_eq!(table.answer("1,2"), "1, 2 : ERROR : NO-USER\r\n");
        assert_eq!(table.answer("x"), "0, 0 : ERROR : INVALID-PORT\r\n");
    }
}
