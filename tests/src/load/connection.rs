//! One connection to the load server.

use std::fmt::Write as _;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::output::Output;
use super::{Heard, NAME, Shared, State};

/// Somebody who is connected.
#[derive(Debug, Default)]
struct Client {
    id: u64,
    nick: String,
    has_user: bool,
    negotiating: bool,
    welcomed: bool,
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).ok();
    let (reader, writer) = stream.into_split();
    let connection = Arc::new(Output::default());
    let mut client = Client::default();
    {
        let mut state = shared.state();
        state.serial += 1;
        client.id = state.serial;
        state.connections.insert(client.id, Arc::clone(&connection));
    }
    tokio::select! {
        () = connection.write_out(writer) => {}
        () = read_in(BufReader::with_capacity(64 * 1024, reader), &shared, &connection, &mut client) => {}
    }
    leave_all(&mut shared.state(), &client);
    connection.close();
}

async fn read_in(
    mut reader: BufReader<tokio::net::tcp::OwnedReadHalf>,
    shared: &Shared,
    connection: &Output,
    client: &mut Client,
) {
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        // Tags are of no interest here.
        let text = if text.starts_with('@') {
            text.split_once(' ').map_or("", |(_, rest)| rest)
        } else {
            text
        };
        let (command, rest) = text.split_once(' ').unwrap_or((text, ""));
        if command.eq_ignore_ascii_case("QUIT") {
            return;
        }
        handle(shared, connection, client, command, rest);
        line.clear();
    }
}

fn handle(shared: &Shared, connection: &Output, client: &mut Client, command: &str, rest: &str) {
    let mut reply = String::new();
    match command.to_ascii_uppercase().as_str() {
        "PRIVMSG" | "NOTICE" => say(&mut shared.state(), client, command, rest),
        "PING" => writeln!(reply, ":{NAME} PONG {NAME} :{}\r", rest.trim_start_matches(':')).unwrap_or_default(),
        "CAP" => negotiate(client, rest, &mut reply),
        "NICK" => take_nick(&mut shared.state(), client, rest.trim_start_matches(':'), &mut reply),
        "USER" => client.has_user = true,
        "JOIN" => join(&mut shared.state(), client, rest, &mut reply),
        "PART" => part(&mut shared.state(), client, rest),
        "MODE" => writeln!(reply, ":{NAME} 324 {} {} +nt\r", client.nick, first(rest)).unwrap_or_default(),
        "WHO" => writeln!(reply, ":{NAME} 315 {} {} :End\r", client.nick, first(rest)).unwrap_or_default(),
        "NAMES" => writeln!(reply, ":{NAME} 366 {} {} :End\r", client.nick, first(rest)).unwrap_or_default(),
        "TOPIC" => writeln!(reply, ":{NAME} 331 {} {} :No topic\r", client.nick, first(rest)).unwrap_or_default(),
        _ => {}
    }
    if !client.welcomed && !client.negotiating && client.has_user && !client.nick.is_empty() {
        client.welcomed = true;
        welcome(&client.nick, &mut reply);
    }
    if !reply.is_empty() {
        connection.write(reply.as_bytes());
    }
}

fn first(rest: &str) -> &str {
    rest.split(' ').next().unwrap_or_default()
}

fn welcome(nick: &str, reply: &mut String) {
    write!(
        reply,
        ":{NAME} 001 {nick} :Welcome\r\n:{NAME} 002 {nick} :Host\r\n:{NAME} 003 {nick} :Created\r\n\
         :{NAME} 004 {nick} {NAME} load o nt\r\n\
         :{NAME} 005 {nick} CASEMAPPING=ascii CHANTYPES=# NICKLEN=30 CHANNELLEN=60 PREFIX=(ov)@+ NETWORK=Load :are supported\r\n\
         :{NAME} 422 {nick} :No MOTD\r\n"
    )
    .unwrap_or_default();
}

fn negotiate(client: &mut Client, rest: &str, reply: &mut String) {
    let nick = if client.nick.is_empty() { "*" } else { &client.nick };
    match first(rest).to_ascii_uppercase().as_str() {
        "LS" => {
            client.negotiating = !client.welcomed;
            writeln!(reply, ":{NAME} CAP {nick} LS :\r").unwrap_or_default();
        }
        "REQ" => {
            client.negotiating = !client.welcomed;
            let wanted = rest
                .split_once(' ')
                .map_or("", |(_, wanted)| wanted.trim_start_matches(':'));
            writeln!(reply, ":{NAME} CAP {nick} NAK :{wanted}\r").unwrap_or_default();
        }
        "END" => client.negotiating = false,
        _ => {}
    }
}

fn take_nick(state: &mut State, client: &mut Client, wanted: &str, reply: &mut String) {
    let key = wanted.to_ascii_lowercase();
    if state.nicks.get(&key).is_some_and(|owner| *owner != client.id) {
        let nick = if client.nick.is_empty() { "*" } else { &client.nick };
        writeln!(reply, ":{NAME} 433 {nick} {wanted} :Nickname is already in use\r").unwrap_or_default();
        return;
    }
    if !client.nick.is_empty() {
        state.nicks.remove(&client.nick.to_ascii_lowercase());
        writeln!(reply, ":{0}!{0}@load.test NICK :{wanted}\r", client.nick).unwrap_or_default();
    }
    state.nicks.insert(key, client.id);
    wanted.clone_into(&mut client.nick);
}

fn join(state: &mut State, client: &Client, rest: &str, reply: &mut String) {
    for channel in first(rest).split(',').filter(|channel| channel.starts_with('#')) {
        let members = state.channels.entry(channel.to_ascii_lowercase()).or_default();
        if members.contains(&client.id) {
            continue;
        }
        let others = members.clone();
        members.push(client.id);
        let line = format!(":{0}!{0}@load.test JOIN {channel}\r\n", client.nick);
        tell(state, &others, line.as_bytes());
        reply.push_str(&line);
        // Who else is there is left out: this server has a thousand voices and no faces.
        write!(
            reply,
            ":{NAME} 353 {0} = {channel} :{0}\r\n:{NAME} 366 {0} {channel} :End\r\n",
            client.nick
        )
        .unwrap_or_default();
    }
}

fn part(state: &mut State, client: &Client, rest: &str) {
    for channel in first(rest).split(',') {
        let Some(members) = state.channels.get_mut(&channel.to_ascii_lowercase()) else {
            continue;
        };
        let everybody = members.clone();
        members.retain(|member| *member != client.id);
        if everybody.contains(&client.id) {
            let line = format!(":{0}!{0}@load.test PART {channel}\r\n", client.nick);
            tell(state, &everybody, line.as_bytes());
        }
    }
}

fn say(state: &mut State, client: &Client, command: &str, rest: &str) {
    let (target, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = text.strip_prefix(':').unwrap_or(text);
    let line = format!(":{0}!{0}@load.test {command} {target} :{text}\r\n", client.nick);
    if !target.starts_with('#') {
        let owner = state.nicks.get(&target.to_ascii_lowercase()).copied();
        tell(state, owner.as_slice(), line.as_bytes());
        return;
    }
    let key = target.to_ascii_lowercase();
    let members: Vec<u64> = state.channels.get(&key).cloned().unwrap_or_default();
    let others: Vec<u64> = members.into_iter().filter(|member| *member != client.id).collect();
    tell(state, &others, line.as_bytes());
    state.heard_in_all += 1;
    let heard = Heard {
        nick: client.nick.clone(),
        text: text.to_owned(),
        at: Instant::now(),
    };
    state.heard.entry(key).or_default().push(heard);
}

fn tell(state: &State, who: &[u64], line: &[u8]) {
    for connection in who.iter().filter_map(|id| state.connections.get(id)) {
        connection.write(line);
    }
}

fn leave_all(state: &mut State, client: &Client) {
    state.connections.remove(&client.id);
    state.nicks.retain(|_, owner| *owner != client.id);
    let line = format!(":{0}!{0}@load.test QUIT :gone\r\n", client.nick);
    let mut others = Vec::new();
    for members in state.channels.values_mut() {
        if members.contains(&client.id) {
            members.retain(|member| *member != client.id);
            others.extend(members.iter().copied());
        }
    }
    others.sort_unstable();
    others.dedup();
    tell(state, &others, line.as_bytes());
}
