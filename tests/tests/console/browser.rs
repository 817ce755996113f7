//! A browser of wood: keeps cookies, follows redirects, sends forms with what the page put into them.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use url::Url;

/// A browser at a console.
pub struct Browser {
    http: Client,
    base: Url,
    cookies: BTreeMap<String, String>,
}

/// A page it shows.
pub struct Page {
    pub code: u16,
    /// Where it ended up.
    pub path: String,
    pub body: String,
}

impl Page {
    /// Everything within the console that it links to.
    pub fn links(&self) -> Vec<String> {
        let links = self
            .body
            .split("href=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next());
        links
            .filter(|link| link.starts_with("/console"))
            .map(str::to_owned)
            .collect()
    }

    /// The first link to something below a path.
    pub fn link_below(&self, path: &str) -> Option<String> {
        self.links().into_iter().find(|link| link.starts_with(path))
    }

    /// What shows that a form is the console's.
    fn form(&self) -> Option<&str> {
        self.body.split_once("name=\"form\" value=\"")?.1.split('"').next()
    }
}

impl Browser {
    /// One at the console of this address.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        Ok(Self {
            http: Client::builder().redirect(Policy::none()).no_proxy().build()?,
            base: Url::parse(base)?,
            cookies: BTreeMap::new(),
        })
    }

    /// Shows the page at a path, or at where that leads.
    pub async fn open(&mut self, path: &str) -> anyhow::Result<Page> {
        let url = self.base.join(path)?;
        let response = self
            .http
            .get(url.clone())
            .header("cookie", self.cookie_line())
            .send()
            .await?;
        self.follow(url, response).await
    }

    /// Sends a form from the overview.
    pub async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Page> {
        self.send_from("/console", path, fields).await
    }

    /// Sends a form from a page.
    pub async fn send_from(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Page> {
        let page = self.open(page).await?;
        let form = page.form().context("there is no form on the page")?;
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("form", form)]).collect();
        let url = self.base.join(path)?;
        let request = self.http.post(url.clone()).form(&fields);
        let request = request
            .header("cookie", self.cookie_line())
            .header("origin", self.base.origin().ascii_serialization());
        self.follow(url, request.send().await?).await
    }

    fn cookie_line(&self) -> String {
        let all: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        all.join("; ")
    }

    fn keep(&mut self, response: &Response) {
        let lines = response.headers().get_all("set-cookie").iter();
        for line in lines.filter_map(|line| line.to_str().ok()) {
            let first = line.split(';').next().unwrap_or_default();
            let Some((name, value)) = first.split_once('=') else {
                continue;
            };
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Goes where it is sent, with its own cookies to the console only.
    async fn follow(&mut self, mut url: Url, mut response: Response) -> anyhow::Result<Page> {
        for _ in 0..10 {
            if url.origin() == self.base.origin() {
                self.keep(&response);
            }
            let code = response.status().as_u16();
            let Some(to) = response.headers().get("location") else {
                let path = url.path().to_owned();
                let body = response.text().await?;
                return Ok(Page { code, path, body });
            };
            url = url.join(to.to_str()?)?;
            let mut request = self.http.get(url.clone()).header("accept-language", "en");
            if url.origin() == self.base.origin() {
                request = request.header("cookie", self.cookie_line());
            }
            response = request.send().await?;
        }
        bail!("it is sent on for ever")
    }
}
