//! The part of `http_config` that jobs and Alertmanagers share. Source: `config/http_config.go` of prometheus/common.

use crate::decode::{Decoded, Decoder, Fatal, Field};
use crate::paths;
use crate::values::{Authorization, BasicAuth, HttpClientConfig, Secret, SecretSource};
use crate::yaml::NodeId;

/// A client's settings as written.
pub(super) struct Raw {
    basic_auth: Option<RawBasicAuth>,
    authorization: Option<RawAuthorization>,
    bearer_token: String,
    bearer_token_file: String,
    follow_redirects: bool,
    insecure_skip_verify: bool,
}

#[derive(Default)]
struct RawBasicAuth {
    username: String,
    password: String,
    password_file: String,
}

#[derive(Default)]
struct RawAuthorization {
    scheme: String,
    credentials: String,
    credentials_file: String,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            basic_auth: None,
            authorization: None,
            bearer_token: String::new(),
            bearer_token_file: String::new(),
            follow_redirects: true,
            insecure_skip_verify: false,
        }
    }
}

impl Raw {
    /// Decodes `key` where it is one of a client's settings.
    pub(super) fn field(
        &mut self,
        decoder: &mut Decoder<'_>,
        key: &str,
        value: NodeId,
    ) -> Decoded<Option<Field>> {
        match key {
            "basic_auth" => self.basic_auth = basic_auth(decoder, value)?,
            "authorization" => self.authorization = authorization(decoder, value)?,
            "bearer_token" => self.bearer_token = decoder.string(value, "config.plain")?,
            "bearer_token_file" => self.bearer_token_file = decoder.string(value, "string")?,
            "follow_redirects" => self.follow_redirects = decoder.bool(value)?,
            // Both are fulfilled: HTTP/2 is an offer, and foxfire speaks HTTP/1.1.
            "enable_http2" => {
                decoder.bool(value)?;
            }
            "tls_config" => self.insecure_skip_verify = tls(decoder, value)?,
            "oauth2"
            | "proxy_url"
            | "no_proxy"
            | "proxy_from_environment"
            | "proxy_connect_header"
            | "http_headers" => return Ok(Some(Field::Unsupported)),
            _ => return Ok(None),
        }
        Ok(Some(Field::Known))
    }

    pub(super) fn validate(self) -> Decoded<HttpClientConfig> {
        self.check_exclusive()?;
        let authorization = match self.authorization {
            Some(raw) => Some(raw.finish()),
            None if !self.bearer_token.is_empty() || !self.bearer_token_file.is_empty() => {
                let raw = RawAuthorization {
                    scheme: String::new(),
                    credentials: self.bearer_token,
                    credentials_file: self.bearer_token_file,
                };
                Some(raw.finish())
            }
            None => None,
        };
        Ok(HttpClientConfig {
            basic_auth: self.basic_auth.map(|raw| BasicAuth {
                username: raw.username,
                password: secret(raw.password, raw.password_file),
            }),
            authorization,
            follow_redirects: self.follow_redirects,
            insecure_skip_verify: self.insecure_skip_verify,
        })
    }

    fn check_exclusive(&self) -> Decoded<()> {
        let refuse = |text: &str| Err(Fatal(text.to_owned()));
        let bearer = !self.bearer_token.is_empty() || !self.bearer_token_file.is_empty();
        if !self.bearer_token.is_empty() && !self.bearer_token_file.is_empty() {
            return refuse("at most one of bearer_token & bearer_token_file must be configured");
        }
        if self.basic_auth.is_some() && bearer {
            return refuse(
                "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
            );
        }
        if let Some(basic) = &self.basic_auth
            && !basic.password.is_empty()
            && !basic.password_file.is_empty()
        {
            return refuse(
                "at most one of basic_auth password, password_file & password_ref must be configured",
            );
        }
        let Some(authorization) = &self.authorization else { return Ok(()) };
        if bearer {
            return refuse("authorization is not compatible with bearer_token & bearer_token_file");
        }
        if !authorization.credentials.is_empty() && !authorization.credentials_file.is_empty() {
            return refuse("at most one of authorization credentials & credentials_file must be configured");
        }
        if authorization.scheme.trim().eq_ignore_ascii_case("basic") {
            return refuse("authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
        }
        if self.basic_auth.is_some() {
            return refuse("at most one of basic_auth, oauth2 & authorization must be configured");
        }
        Ok(())
    }
}

impl RawAuthorization {
    fn finish(self) -> Authorization {
        let scheme = match self.scheme.trim() {
            "" => "Bearer",
            scheme => scheme,
        };
        Authorization {
            scheme: scheme.to_owned(),
            credentials: secret(self.credentials, self.credentials_file),
        }
    }
}

/// Makes the paths of secrets absolute.
pub(super) fn set_directory(http: &mut HttpClientConfig, directory: &str) {
    let basic = http.basic_auth.as_mut().map(|basic| &mut basic.password);
    let bearer = http.authorization.as_mut().map(|authorization| &mut authorization.credentials);
    for source in basic.into_iter().chain(bearer) {
        if let SecretSource::File(path) = source {
            *path = paths::join(directory, path);
        }
    }
}

fn secret(inline: String, file: String) -> SecretSource {
    if file.is_empty() { SecretSource::Inline(Secret::new(inline)) } else { SecretSource::File(file) }
}

fn basic_auth(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<Option<RawBasicAuth>> {
    if decoder.is_null(id) {
        return Ok(None);
    }
    let mut raw = RawBasicAuth::default();
    decoder.structure(id, "config.plain", &mut |decoder, key, value| {
        match key {
            "username" => raw.username = decoder.string(value, "string")?,
            "password" => raw.password = decoder.string(value, "config.plain")?,
            "password_file" => raw.password_file = decoder.string(value, "string")?,
            "username_file" | "username_ref" | "password_ref" => return Ok(Field::Unsupported),
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    Ok(Some(raw))
}

fn authorization(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<Option<RawAuthorization>> {
    if decoder.is_null(id) {
        return Ok(None);
    }
    let mut raw = RawAuthorization::default();
    decoder.structure(id, "config.Authorization", &mut |decoder, key, value| {
        match key {
            "type" => raw.scheme = decoder.string(value, "string")?,
            "credentials" => raw.credentials = decoder.string(value, "config.plain")?,
            "credentials_file" => raw.credentials_file = decoder.string(value, "string")?,
            "credentials_ref" => return Ok(Field::Unsupported),
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    Ok(Some(raw))
}

/// `tls_config`: its `insecure_skip_verify`.
fn tls(decoder: &mut Decoder<'_>, id: NodeId) -> Decoded<bool> {
    let mut insecure_skip_verify = false;
    if decoder.is_null(id) {
        return Ok(insecure_skip_verify);
    }
    decoder.structure(id, "config.plain", &mut |decoder, key, value| {
        match key {
            "insecure_skip_verify" => insecure_skip_verify = decoder.bool(value)?,
            "ca" | "cert" | "key" | "ca_file" | "cert_file" | "key_file" | "ca_ref" | "cert_ref"
            | "key_ref" | "server_name" | "min_version" | "max_version" => return Ok(Field::Unsupported),
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    })?;
    Ok(insecure_skip_verify)
}
