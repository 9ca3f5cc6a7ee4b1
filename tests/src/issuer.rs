//! Whoever makes tokens: `tidewire token` with a secret, and servers that accept what it makes.

use std::path::PathBuf;

use crate::command::run;
use crate::directory::Directory;
use crate::launch::Launch;
use crate::server::Server;

/// Makes tokens with a secret of its own.
#[derive(Debug)]
pub struct Issuer {
    directory: Directory,
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}

impl Issuer {
    /// A new one.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        let issuer = Self {
            directory: Directory::new(),
        };
        let secret = "a secret that only this test and its server know\n";
        std::fs::write(issuer.secret(), secret).expect("a file of our own");
        issuer
    }

    /// The file with the secret.
    #[must_use]
    pub fn secret(&self) -> PathBuf {
        self.directory.path().join("secret")
    }

    /// A server that accepts its tokens, with these arguments beside that.
    #[must_use]
    #[track_caller]
    pub fn server(&self, arguments: &[&str]) -> Server {
        let secret = self.secret();
        let key = ["--auth-key", secret.to_str().expect("a path in UTF-8")];
        Launch::default()
            .arguments(&key)
            .arguments(arguments)
            .start()
    }

    /// A token for `user`, with what these words of `tidewire token` say.
    #[must_use]
    #[track_caller]
    pub fn token(&self, user: &str, words: &[&str]) -> String {
        let secret = self.secret();
        let fixed = [
            "token",
            "--secret-file",
            secret.to_str().expect("a path in UTF-8"),
            "--sub",
            user,
        ];
        let (code, token, problem) = run(&[&fixed[..], words].concat(), b"");
        assert_eq!(code, Some(0), "{words:?}: {problem}");
        token.trim_end().to_owned()
    }

    /// A token for `user` that grants these rights in the rooms of the pattern.
    #[must_use]
    #[track_caller]
    pub fn token_for(&self, user: &str, rights: &[&str], rooms: &str) -> String {
        let flags: Vec<String> = rights.iter().map(|right| format!("--{right}")).collect();
        let mut words: Vec<&str> = Vec::new();
        for flag in &flags {
            words.extend([flag.as_str(), rooms]);
        }
        if rights.is_empty() {
            // Without any pattern it would grant all rooms.
            words = vec!["--join", "no-such-room"];
        }
        self.token(user, &words)
    }
}
