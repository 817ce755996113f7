//! `InspIRCd` with Atheme services: the `IRCv3` extensions and SASL.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use super::{Place, Process, free_port, is_root, listening, program};
use crate::people::IrcPerson;
use crate::wait::wait_for;

const LINK_PASSWORD: &str = "link-for-tests";
const MODULES: [&str; 19] = [
    "cap",
    // Atheme sets the mode of the first and asks for the commands of the last: without them the link breaks.
    "deaf",
    "ircv3",
    "ircv3_accounttag",
    "ircv3_batch",
    "ircv3_capnotify",
    "ircv3_chghost",
    "ircv3_ctctags",
    "ircv3_echomessage",
    "ircv3_invitenotify",
    "ircv3_labeledresponse",
    "ircv3_msgid",
    "ircv3_servertime",
    "monitor",
    "sasl",
    "services_account",
    "setname",
    "spanningtree",
    "svshold",
];
const SERVICE_MODULES: [&str; 17] = [
    "protocol/inspircd",
    "transport/rfc1459",
    "backend/opensex",
    "crypto/pbkdf2v2",
    "nickserv/main",
    "nickserv/register",
    "nickserv/identify",
    "nickserv/info",
    "nickserv/set_core",
    "nickserv/set_nopassword",
    "chanserv/main",
    "chanserv/register",
    "chanserv/op",
    "chanserv/flags",
    "saslserv/main",
    "saslserv/plain",
    "saslserv/external",
];

/// A running `InspIRCd`, linked with Atheme.
#[derive(Debug)]
pub struct Inspircd {
    // Services first: they go before their server.
    _services: Process,
    process: Process,
    _place: Place,
    port: u16,
}

impl Inspircd {
    /// Starts both on free ports and waits until SASL is offered.
    ///
    /// # Errors
    ///
    /// [`super::Missing`], or why they did not start.
    pub async fn start() -> anyhow::Result<Self> {
        let (server, services) = (
            program("inspircd", "inspircd")?,
            program("atheme-services", "atheme-services")?,
        );
        let place = Place::new("inspircd")?;
        let (port, link) = (free_port()?, free_port()?);
        place.write("motd", "A server for tests.\n")?;
        let configuration = place.write("inspircd.conf", server_configuration(&place, port, link))?;
        let mut command = as_irc_user(&server);
        command
            .args(["--nofork", "--nopid", "--config"])
            .arg(configuration)
            .current_dir(place.path());
        let mut process = Process::start("inspircd", command, &place.file("inspircd.log"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        listening(&mut process, address).await?;

        let data = place.folder("atheme")?;
        let configuration = place.write("atheme/atheme.conf", services_configuration(link))?;
        let mut command = as_irc_user(&services);
        command.args(["-n", "-c"]).arg(configuration).arg("-D").arg(&data);
        command.arg("-l").arg(data.join("log")).arg("-p").arg(data.join("pid"));
        let services = Process::start("atheme", command, &place.file("atheme.log"))?;
        let linked = wait_for("SASL of the services", super::READY, || async move {
            IrcPerson::capabilities(address)
                .await
                .is_ok_and(|caps| caps.contains("sasl="))
                .then_some(())
        });
        services.explain(process.explain(linked.await))?;
        Ok(Self {
            _services: services,
            process,
            _place: place,
            port,
        })
    }

    /// Where it listens, without TLS.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The program as Debian's user `irc`: it refuses to run as root.
fn as_irc_user(program: &std::path::Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=irc", "--regid=irc", "--clear-groups"]);
    }
    command.arg("--").arg(program);
    command
}

fn server_configuration(place: &Place, port: u16, link: u16) -> String {
    let mut text = String::new();
    for module in MODULES {
        writeln!(text, r#"<module name="{module}">"#).ok();
    }
    let path = place.path().display();
    write!(
        text,
        r#"<server name="insp.test.local" description="Test" network="Test" id="0AA">
<admin name="Test" email="test@localhost" nick="test">
<bind address="127.0.0.1" port="{port}" type="clients">
<bind address="127.0.0.1" port="{link}" type="servers">
<link name="services.test.local" ipaddr="127.0.0.1" port="{link}" allowmask="127.0.0.0/8" sendpass="{LINK_PASSWORD}" recvpass="{LINK_PASSWORD}">
<uline server="services.test.local" silent="yes">
<sasl target="services.test.local" requiressl="no">
<connect name="main" allow="127.0.0.0/8" timeout="30" pingfreq="60" fakelag="no" threshold="10000" commandrate="1000000"
 recvq="1M" softsendq="1M" hardsendq="16M" localmax="5000" globalmax="5000" resolvehostnames="no" useconnectban="no" maxchans="200">
<limits maxnick="30" maxchan="64" maxtopic="330" maxkick="250">
<files motd="{path}/motd">
<path configdir="{path}" datadir="{path}" logdir="{path}" runtimedir="{path}">
<log method="stdout" type="* -USERINPUT -USEROUTPUT" level="default">
<dns server="127.0.0.1" sourceip="127.0.0.1" timeout="1">
<performance netbuffersize="10240" somaxconn="512" softlimit="8000" quietbursts="yes">
<options prefixpart="&quot;" suffixpart="&quot;" syntaxhints="no" ircumsgprefix="no" announcets="no" defaultmodes="nt" maxtargets="20">
<security userstats="Pu" maxtargets="20" hidesplits="no" hideulines="no" allowcoreunload="no">
"#
    )
    .ok();
    text
}

fn services_configuration(link: u16) -> String {
    let mut text = String::new();
    for module in SERVICE_MODULES {
        writeln!(text, "loadmodule \"modules/{module}\";").ok();
    }
    write!(
        text,
        r#"serverinfo {{ name = "services.test.local"; desc = "Services"; numeric = "00A"; recontime = 1; netname = "Test";
 adminname = "Test"; adminemail = "test@localhost"; registeremail = "test@localhost"; hidehostsuffix = "users.test";
 mta = "/bin/true"; loglevel = {{ error; info; network; }}; maxlogins = 50; maxusers = 0; maxnicks = 50; maxchans = 50;
 mdlimit = 30; emaillimit = 1000; emailtime = 1; auth = none; casemapping = rfc1459; }};
uplink "insp.test.local" {{ host = "127.0.0.1"; vhost = "127.0.0.1"; send_password = "{LINK_PASSWORD}";
 receive_password = "{LINK_PASSWORD}"; port = {link}; }};
nickserv {{ nick = "NickServ"; user = "NickServ"; host = "services.test"; real = "Nickname Services"; no_nick_ownership; }};
chanserv {{ nick = "ChanServ"; user = "ChanServ"; host = "services.test"; real = "Channel Services"; }};
saslserv {{ nick = "SaslServ"; user = "SaslServ"; host = "services.test"; real = "SASL"; }};
database {{ }};
general {{ commit_interval = 5; }};
"#
    )
    .ok();
    text
}
