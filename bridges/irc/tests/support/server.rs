//! Real IRC servers, each in a folder of its own, on a free port of the loopback interface.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

pub struct Server {
    pub port: u16,
    pub services_port: u16,
    pub folder: TempDir,
    children: Vec<Child>,
    others: Vec<TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.start_kill().ok();
        }
    }
}

fn program(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/usr/local/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

async fn ready(port: u16) {
    let trying = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, trying)
        .await
        .expect("the server did not start");
}

fn own_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    folder
}

/// A command run as the user `irc` where we are root, for these servers refuse root.
fn as_irc(program: &Path) -> Command {
    let root = std::fs::metadata("/proc/self").is_ok_and(|data| std::os::unix::fs::MetadataExt::uid(&data) == 0);
    let mut command = if root {
        // It becomes the server instead of waiting for it, so that killing it kills the server.
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=irc", "--regid=irc", "--clear-groups", "--"])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// ngircd: an old-fashioned server with next to no capabilities. None where it is not installed.
pub async fn ngircd(extra: &str) -> Option<Server> {
    let Some(program) = program("ngircd") else {
        println!("skipped: ngircd is not installed");
        return None;
    };
    let folder = own_folder();
    let port = free_port().await;
    let config = folder.path().join("ngircd.conf");
    std::fs::write(
        &config,
        format!(
            "[Global]\nName = irc.test.local\nListen = 127.0.0.1\nPorts = {port}\nServerUID = irc\nServerGID = irc\n\
             [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxNickLength = 30\nMaxPenaltyTime = 0\n\
             [Options]\nDNS = no\nIdent = no\nPAM = no\n{extra}\n"
        ),
    )
    .unwrap();
    let mut command = Command::new(program);
    command
        .args(["-n", "-f"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.kill_on_drop(true).spawn().unwrap();
    ready(port).await;
    Some(Server {
        port,
        services_port: 0,
        folder,
        children: vec![child],
        others: Vec::new(),
    })
}

const INSPIRCD_MODULES: &[&str] = &[
    "account_tag",
    "ircv3",
    "ircv3_accounttag",
    "ircv3_batch",
    "ircv3_capnotify",
    "ircv3_chghost",
    "ircv3_ctctags",
    "ircv3_echomessage",
    "ircv3_labeledresponse",
    "ircv3_msgid",
    "ircv3_servertime",
    "cap",
    "setname",
    "namesx",
    "uhnames",
    "botmode",
    "services_account",
    "sasl",
    "deaf",
    "svshold",
    "spanningtree",
    "banredirect",
    "sajoin",
    "cgiirc",
];

/// `InspIRCd`: everything but history. None where it is not installed.
pub async fn inspircd() -> Option<Server> {
    inspircd_with("", "").await
}

/// The same with more attributes of its connection class and more tags.
pub async fn inspircd_with(class: &str, tags: &str) -> Option<Server> {
    let Some(program) = program("inspircd") else {
        println!("skipped: inspircd is not installed");
        return None;
    };
    let folder = own_folder();
    let (port, services_port) = (free_port().await, free_port().await);
    let present = |name: &&&str| Path::new(&format!("/usr/lib/inspircd/modules/m_{name}.so")).exists();
    let modules: Vec<String> = INSPIRCD_MODULES
        .iter()
        .filter(present)
        .map(|name| format!("<module name=\"{name}\">\n"))
        .collect();
    let modules = modules.concat();
    let config = folder.path().join("inspircd.conf");
    std::fs::write(
        &config,
        format!(
            "<server name=\"irc.test.local\" description=\"test\" network=\"Test\">\n\
             <admin name=\"a\" nick=\"a\" email=\"a@test.local\">\n\
             <bind address=\"127.0.0.1\" port=\"{port}\" type=\"clients\">\n\
             <bind address=\"127.0.0.1\" port=\"{services_port}\" type=\"servers\">\n\
             <link name=\"services.test.local\" ipaddr=\"127.0.0.1\" port=\"{services_port}\" allowmask=\"127.0.0.0/8\" sendpass=\"linkpw\" recvpass=\"linkpw\">\n\
             <uline server=\"services.test.local\" silent=\"yes\">\n<sasl target=\"services.test.local\">\n\
             <connect name=\"main\" allow=\"*\" timeout=\"60\" pingfreq=\"60\" fakelag=\"no\" threshold=\"10000\" commandrate=\"1000000\" recvq=\"1M\" softsendq=\"1M\" hardsendq=\"16M\" localmax=\"5000\" globalmax=\"5000\" resolvehostnames=\"no\" {class}>\n\
             <options prefixquit=\"Quit: \" defaultmodes=\"not\">\n<performance clonesonconnect=\"no\">\n<log method=\"file\" type=\"*\" level=\"default\" target=\"{0}/log\">\n<pid file=\"{0}/pid\">\n<path datadir=\"{0}\" logdir=\"{0}\" runtimedir=\"{0}\">\n{modules}{tags}",
            folder.path().display()
        ),
    )
    .unwrap();
    let mut command = as_irc(&program);
    command.args(["--nofork", "--nopid", "--config"]).arg(&config);
    let child = command.spawn().unwrap();
    ready(port).await;
    Some(Server {
        port,
        services_port,
        folder,
        children: vec![child],
        others: Vec::new(),
    })
}

/// An `InspIRCd` with Atheme services beside it; none where either is not installed.
pub async fn inspircd_with_services() -> Option<Server> {
    let mut server = inspircd().await?;
    atheme(&mut server).then_some(server)
}

/// Atheme services beside an `InspIRCd`, with an account `hub` whose password is `secret`. False where not installed.
pub fn atheme(server: &mut Server) -> bool {
    let Some(program) = program("atheme-services") else {
        println!("skipped: atheme-services is not installed");
        return false;
    };
    let folder = server.folder.path().to_owned();
    let config = folder.join("atheme.conf");
    std::fs::write(
        &config,
        format!(
            "loadmodule \"modules/protocol/inspircd\";\nloadmodule \"modules/backend/opensex\";\n\
             loadmodule \"modules/crypto/pbkdf2v2\";\n\
             loadmodule \"modules/nickserv/main\";\nloadmodule \"modules/nickserv/register\";\n\
             loadmodule \"modules/nickserv/identify\";\nloadmodule \"modules/saslserv/main\";\nloadmodule \"modules/saslserv/plain\";\n\
             loadmodule \"modules/nickserv/cert\";\nloadmodule \"modules/saslserv/external\";\n\
             serverinfo {{ name = \"services.test.local\"; desc = \"s\"; numeric = \"00A\"; recontime = 1; netname = \"Test\"; adminname = \"a\"; adminemail = \"a@test.local\"; registeremail = \"a@test.local\"; auth = none; mta = \"/bin/true\"; casemapping = rfc1459; maxlogins = 5; maxusers = 5; loglevel = {{ error; info; network; }}; }};\n\
             uplink \"irc.test.local\" {{ host = \"127.0.0.1\"; send_password = \"linkpw\"; receive_password = \"linkpw\"; port = {}; }};\n\
             nickserv {{ nick = \"NickServ\"; user = \"n\"; host = \"services.test.local\"; real = \"n\"; no_nick_ownership; aliases {{ }}; access {{ }}; }};\n\
             saslserv {{ nick = \"SaslServ\"; user = \"s\"; host = \"services.test.local\"; real = \"s\"; }};\n\
             general {{ helpchan = \"#help\"; helpurl = \"x\"; commit_interval = 5; default_clone_allowed = 100; uflags = {{ hidemail; }}; cflags = {{ }}; flood_msgs = 0; }};\n",
            server.services_port
        ),
    )
    .unwrap();
    let mut command = as_irc(&program);
    command.arg("-n").arg("-c").arg(&config).arg("-D").arg(&folder);
    command
        .arg("-l")
        .arg(folder.join("atheme.log"))
        .arg("-p")
        .arg(folder.join("atheme.pid"));
    server.children.push(command.spawn().unwrap());
    true
}

const CERTIFICATE: &str = "[req]\ndistinguished_name = name\nx509_extensions = ext\nprompt = no\n[name]\nCN = irc.test.local\n\
                           [ext]\nsubjectAltName = DNS:irc.test.local\nbasicConstraints = critical,CA:FALSE\n";

/// A certificate of its own signing in a folder of its own.
pub struct Certificate {
    pub folder: TempDir,
    pub file: PathBuf,
    pub key: PathBuf,
    openssl: PathBuf,
}

impl Certificate {
    /// Makes one. None where openssl is not installed.
    pub async fn make() -> Option<Self> {
        let Some(openssl) = program("openssl") else {
            println!("skipped: openssl is not installed");
            return None;
        };
        let folder = own_folder();
        let made = Self {
            file: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
            folder,
            openssl,
        };
        let config = made.folder.path().join("req.conf");
        std::fs::write(&config, CERTIFICATE).unwrap();
        let mut command = Command::new(&made.openssl);
        command
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config"])
            .arg(&config);
        command
            .arg("-keyout")
            .arg(&made.key)
            .arg("-out")
            .arg(&made.file)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        assert!(command.status().await.unwrap().success());
        std::fs::set_permissions(&made.key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        Some(made)
    }

    /// Its SHA-256 fingerprint, as services know it.
    pub async fn fingerprint(&self) -> String {
        let mut command = Command::new(&self.openssl);
        command
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(&self.file);
        let shown = String::from_utf8(command.output().await.unwrap().stdout).unwrap();
        let (_, digits) = shown.trim().split_once('=').unwrap();
        digits.replace(':', "").to_lowercase()
    }
}

/// ngircd with a second port that speaks TLS: the server, that port and the authority to trust. None where it or
/// openssl is not installed.
pub async fn ngircd_with_tls() -> Option<(Server, u16, PathBuf)> {
    let own = Certificate::make().await?;
    let port = free_port().await;
    let section = format!(
        "[SSL]\nCertFile = {}\nKeyFile = {}\nPorts = {port}\n",
        own.file.display(),
        own.key.display()
    );
    let mut server = ngircd(&section).await?;
    ready(port).await;
    server.others.push(own.folder);
    Some((server, port, own.file))
}

/// `InspIRCd` with a second port that speaks TLS and asks for the other side's certificate, like
/// [`ngircd_with_tls`].
pub async fn inspircd_with_tls(class: &str, tags: &str) -> Option<(Server, u16, PathBuf)> {
    let own = Certificate::make().await?;
    let port = free_port().await;
    let tags = format!(
        "<module name=\"ssl_gnutls\">\n<module name=\"sslinfo\">\n\
         <sslprofile name=\"test\" provider=\"gnutls\" certfile=\"{}\" keyfile=\"{}\" hash=\"sha256\">\n\
         <bind address=\"127.0.0.1\" port=\"{port}\" type=\"clients\" sslprofile=\"test\">\n{tags}",
        own.file.display(),
        own.key.display()
    );
    let mut server = inspircd_with(class, &tags).await?;
    ready(port).await;
    server.others.push(own.folder);
    Some((server, port, own.file))
}
