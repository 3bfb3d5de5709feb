//! How a program finds its computation: by value, or through the environment of its launcher.

use dmtcp_proto::{Dialect, Name, WorkerConfig};
use std::env;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use super::error::Error;

/// The environment variables that [`Options::to_env`] sets and [`Options::from_env`] reads.
pub mod variable {
    /// The coordinator, as `ADDRESS:PORT`. Required.
    pub const COORDINATOR: &str = "DMTCP_RS_COORDINATOR";
    /// The coordinator's dialect, such as `V3` or `V2_6`: a worker speaks first, so it must know. Required.
    pub const DIALECT: &str = "DMTCP_RS_DIALECT";
    /// Where images go. Default: the working directory.
    pub const CHECKPOINT_DIR: &str = "DMTCP_RS_CKPT_DIR";
    /// The image to restart from. Default: a fresh start.
    pub const IMAGE: &str = "DMTCP_RS_IMAGE";
    /// [`Options::join_limit`](super::Options::join_limit) in milliseconds.
    pub const JOIN_LIMIT: &str = "DMTCP_RS_JOIN_LIMIT_MS";
    /// [`Options::barrier_limit`](super::Options::barrier_limit) in milliseconds.
    pub const BARRIER_LIMIT: &str = "DMTCP_RS_BARRIER_LIMIT_MS";
    /// Names for [`Options::barriers`](super::Options::barriers) at a checkpoint, one a line.
    pub const CHECKPOINT_BARRIERS: &str = "DMTCP_RS_CKPT_BARRIERS";
    /// The same at a restart.
    pub const RESTART_BARRIERS: &str = "DMTCP_RS_RESTART_BARRIERS";
    /// `1`: [`Options::coordinator_of_any_user`](super::Options::coordinator_of_any_user).
    pub const ANY_USER: &str = "DMTCP_RS_ANY_USER";
}

/// Which computation to join, and how.
#[derive(Clone, Debug)]
#[must_use = "nothing happens until `Worker::join`"]
pub struct Options {
    pub(super) coordinator: SocketAddr,
    pub(super) dialect: Dialect,
    pub(super) checkpoint_dir: PathBuf,
    pub(super) image: Option<PathBuf>,
    pub(super) join_limit: Duration,
    pub(super) barrier_limit: Duration,
    pub(super) checkpoint_barriers: Vec<Name>,
    pub(super) restart_barriers: Vec<Name>,
    pub(super) any_user: bool,
    pub(super) restart_with: Option<(PathBuf, Vec<OsString>)>,
}

impl Options {
    /// A fresh start under this coordinator, with images in the working directory.
    ///
    /// The dialect must be the coordinator's. One of another dialect takes the program in and fails
    /// the first checkpoint; where the headers differ in length, which is so for 2.x, a stock one
    /// may end, with all its workers.
    pub fn new(coordinator: SocketAddr, dialect: Dialect) -> Self {
        Self {
            coordinator,
            dialect,
            checkpoint_dir: PathBuf::from("."),
            image: None,
            join_limit: Duration::from_secs(30),
            barrier_limit: Duration::from_secs(600),
            checkpoint_barriers: names(WorkerConfig::STOCK_CHECKPOINT_BARRIERS),
            restart_barriers: names(WorkerConfig::STOCK_RESTART_BARRIERS),
            any_user: false,
            restart_with: None,
        }
    }

    /// What the launcher put into the environment ([`Options::to_env`]); see [`variable`].
    ///
    /// # Errors
    ///
    /// [`Error::NotLaunched`] when there is no coordinator or dialect in it: this process was not
    /// started as a worker. [`Error::BadVariable`].
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(&|variable| env::var_os(variable))
    }

    fn from_variables(set: &Variables<'_>) -> Result<Self, Error> {
        let coordinator = parsed(set, variable::COORDINATOR, "an address and a port")?.ok_or(
            Error::NotLaunched {
                variable: variable::COORDINATOR,
            },
        )?;
        let dialect = text(set, variable::DIALECT)?.ok_or(Error::NotLaunched {
            variable: variable::DIALECT,
        })?;
        let mut options = Self::new(coordinator, dialect_of(dialect)?);
        if let Some(dir) = set(variable::CHECKPOINT_DIR) {
            options.checkpoint_dir = dir.into();
        }
        options.image = set(variable::IMAGE).map(PathBuf::from);
        if let Some(limit) = milliseconds(set, variable::JOIN_LIMIT)? {
            options.join_limit = limit;
        }
        if let Some(limit) = milliseconds(set, variable::BARRIER_LIMIT)? {
            options.barrier_limit = limit;
        }
        if let Some(names) = lines(set, variable::CHECKPOINT_BARRIERS)? {
            options.checkpoint_barriers = names;
        }
        if let Some(names) = lines(set, variable::RESTART_BARRIERS)? {
            options.restart_barriers = names;
        }
        options.any_user = set(variable::ANY_USER).is_some_and(|value| value == "1");
        Ok(options)
    }

    /// Puts these options into the environment of a program that calls [`Options::from_env`].
    ///
    /// Every variable of [`variable`] is set or removed: nothing is inherited.
    pub fn to_env(&self, command: &mut Command) {
        let millis = |limit: Duration| {
            let count = u64::try_from(limit.as_millis());
            count.unwrap_or(u64::MAX).to_string()
        };
        command
            .env(variable::COORDINATOR, self.coordinator.to_string())
            .env(variable::DIALECT, format!("{:?}", self.dialect))
            .env(variable::CHECKPOINT_DIR, &self.checkpoint_dir)
            .env(variable::JOIN_LIMIT, millis(self.join_limit))
            .env(variable::BARRIER_LIMIT, millis(self.barrier_limit))
            .env(
                variable::CHECKPOINT_BARRIERS,
                joined(&self.checkpoint_barriers),
            )
            .env(variable::RESTART_BARRIERS, joined(&self.restart_barriers));
        match &self.image {
            Some(image) => command.env(variable::IMAGE, image),
            None => command.env_remove(variable::IMAGE),
        };
        match self.any_user {
            true => command.env(variable::ANY_USER, "1"),
            false => command.env_remove(variable::ANY_USER),
        };
    }

    /// The same with images in this directory, which is made if it is missing. Default: the
    /// working directory, as with DMTCP.
    pub fn checkpoint_dir(self, dir: impl Into<PathBuf>) -> Self {
        Self {
            checkpoint_dir: dir.into(),
            ..self
        }
    }

    /// The same as a restart from this image. Use [`restart_command`](super::restart_command) to
    /// run the image's own program.
    pub fn image(self, image: impl Into<PathBuf>) -> Self {
        Self {
            image: Some(image.into()),
            ..self
        }
    }

    /// The same with this limit on connecting and being taken in. Default: 30 s.
    pub fn join_limit(self, limit: Duration) -> Self {
        Self {
            join_limit: limit,
            ..self
        }
    }

    /// The same with this limit on the wait at each barrier, or before 3.0.0 for each phase, that is for the slowest worker to
    /// reach it: to come to a safe point, or to write its image. Default: 10 min.
    pub fn barrier_limit(self, limit: Duration) -> Self {
        Self {
            barrier_limit: limit,
            ..self
        }
    }

    /// The same with these barriers of plugins at a checkpoint and at a restart, in order; no
    /// release before 3.0.0 has any. Default: those of stock workers with their default plugins. Every worker of a computation
    /// must have the same.
    pub fn barriers(self, checkpoint: Vec<Name>, restart: Vec<Name>) -> Self {
        Self {
            checkpoint_barriers: checkpoint,
            restart_barriers: restart,
            ..self
        }
    }

    /// The same under a coordinator of any user of this host. Default: of this process's user and of
    /// root, as far as the system tells whose it is: whoever owns the port says when a worker writes
    /// its memory down, and where. One on another host is taken as it is.
    pub fn coordinator_of_any_user(self) -> Self {
        Self {
            any_user: true,
            ..self
        }
    }

    /// The same with images that are restarted by this command, in the directory that this process
    /// was in when it joined. Default: this process's own executable and arguments, which for an
    /// interpreter need not lead to the same environment again. A path without a slash is one in the
    /// working directory. Of the program that joins: it does not pass through
    /// [`to_env`](Self::to_env).
    pub fn restart_with(
        self,
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = OsString>,
    ) -> Self {
        Self {
            restart_with: Some((program.into(), args.into_iter().collect())),
            ..self
        }
    }

    /// The image this process is to be restarted from.
    #[must_use]
    pub fn restart_image(&self) -> Option<&Path> {
        self.image.as_deref()
    }
}

/// Looks a variable of the environment up.
type Variables<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

fn text(set: &Variables<'_>, variable: &'static str) -> Result<Option<String>, Error> {
    set(variable)
        .map(|value| {
            value.into_string().map_err(|value| Error::BadVariable {
                variable,
                value: value.to_string_lossy().into_owned(),
                expected: "text in UTF-8",
            })
        })
        .transpose()
}

fn parsed<T: FromStr>(
    set: &Variables<'_>,
    variable: &'static str,
    expected: &'static str,
) -> Result<Option<T>, Error> {
    let Some(value) = text(set, variable)? else {
        return Ok(None);
    };
    let bad = |_| Error::BadVariable {
        variable,
        value: value.clone(),
        expected,
    };
    value.parse().map(Some).map_err(bad)
}

fn milliseconds(set: &Variables<'_>, variable: &'static str) -> Result<Option<Duration>, Error> {
    let count = parsed(set, variable, "a number of milliseconds")?;
    Ok(count.map(Duration::from_millis))
}

fn dialect_of(word: String) -> Result<Dialect, Error> {
    Dialect::ALL
        .iter()
        .copied()
        .find(|dialect| format!("{dialect:?}") == word)
        .ok_or(Error::BadVariable {
            variable: variable::DIALECT,
            value: word,
            expected: "a dialect",
        })
}

fn lines(set: &Variables<'_>, variable: &'static str) -> Result<Option<Vec<Name>>, Error> {
    let Some(value) = text(set, variable)? else {
        return Ok(None);
    };
    let names = value.lines().map(|line| {
        Name::new(line).map_err(|_| Error::BadVariable {
            variable,
            value: value.clone(),
            expected: "names of barriers, one a line, of at most 63 bytes each",
        })
    });
    names.collect::<Result<_, _>>().map(Some)
}

fn joined(names: &[Name]) -> String {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    names.join("\n")
}

fn names(texts: &[&str]) -> Vec<Name> {
    texts
        .iter()
        .map(|text| Name::from_field(text.as_bytes()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// What a child of this command finds in its environment.
    fn environment(command: &Command) -> HashMap<String, OsString> {
        command
            .get_envs()
            .filter_map(|(name, value)| {
                let name = name.to_str().unwrap().to_owned();
                value.map(|value| (name, value.to_owned()))
            })
            .collect()
    }

    fn read(environment: &HashMap<String, OsString>) -> Result<Options, Error> {
        Options::from_variables(&|variable| environment.get(variable).cloned())
    }

    fn given() -> Options {
        let name = |text| Name::new(text).unwrap();
        Options::new("127.0.0.1:7779".parse().unwrap(), Dialect::V3)
            .checkpoint_dir("images of mine")
            .image("/sets/1/ckpt.dmtcp")
            .join_limit(Duration::from_millis(1500))
            .barrier_limit(Duration::from_secs(7))
            .barriers(vec![name("A::one"), name("B, two")], vec![])
            .coordinator_of_any_user()
    }

    #[test]
    fn everything_passes_through_the_environment() {
        for options in [given(), Options::new(given().coordinator, Dialect::V5)] {
            let mut command = Command::new("true");
            options.to_env(&mut command);
            let back = read(&environment(&command)).unwrap();
            assert_eq!(format!("{back:?}"), format!("{options:?}"));
        }
    }

    #[test]
    fn a_limit_that_is_none_passes_too() {
        let mut command = Command::new("true");
        given().join_limit(Duration::MAX).to_env(&mut command);
        let back = read(&environment(&command)).unwrap();
        assert_eq!(back.join_limit, Duration::from_millis(u64::MAX));
    }

    #[test]
    fn an_image_and_trust_are_not_inherited() {
        let mut command = Command::new("true");
        given().to_env(&mut command);
        Options::new(given().coordinator, Dialect::V3).to_env(&mut command);
        for name in [variable::IMAGE, variable::ANY_USER] {
            assert!(!environment(&command).contains_key(name));
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let mut command = Command::new("true");
        given().to_env(&mut command);
        let full = environment(&command);
        for required in [variable::COORDINATOR, variable::DIALECT] {
            let mut without = full.clone();
            without.remove(required);
            let error = read(&without).unwrap_err();
            assert!(
                matches!(error, Error::NotLaunched { variable } if variable == required),
                "{error:?}"
            );
        }
        let too_long = "x".repeat(64);
        for (wrong, value) in [
            (variable::COORDINATOR, "localhost"),
            (variable::DIALECT, "V4"),
            (variable::JOIN_LIMIT, "-1"),
            (variable::BARRIER_LIMIT, "soon"),
            (variable::CHECKPOINT_BARRIERS, too_long.as_str()),
        ] {
            let mut with = full.clone();
            with.insert(wrong.to_owned(), value.into());
            let error = read(&with).unwrap_err();
            assert!(
                matches!(error, Error::BadVariable { variable, .. } if variable == wrong),
                "{error:?}"
            );
        }
    }
}
