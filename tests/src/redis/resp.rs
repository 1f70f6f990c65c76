//! The Redis protocol, as little of it as a test needs to look for itself (RESP2,
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status such as `OK`.
    Simple(String),
    /// An error, with its code in front.
    Error(String),
    /// A number.
    Number(i64),
    /// Bytes that are text; none for a missing value.
    Text(Option<String>),
    /// A list; none for a transaction that was not carried out.
    List(Option<Vec<Reply>>),
}

/// A connection.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Reply {
    /// The text of a status or of bytes.
    #[track_caller]
    pub fn text(self) -> String {
        match self {
            Self::Simple(text) | Self::Text(Some(text)) => text,
            other => panic!("a text was expected: {other:?}"),
        }
    }

    /// The number.
    #[track_caller]
    pub fn number(self) -> i64 {
        match self {
            Self::Number(number) => number,
            other => panic!("a number was expected: {other:?}"),
        }
    }

    /// The texts of a list.
    #[track_caller]
    pub fn texts(self) -> Vec<String> {
        match self {
            Self::List(Some(items)) => items.into_iter().map(Self::text).collect(),
            other => panic!("a list was expected: {other:?}"),
        }
    }
}

impl Connection {
    /// Connects to a server of this machine.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends one command and reads its answer.
    ///
    /// # Errors
    /// If there is no answer; an error of the server is an answer.
    pub fn ask(&mut self, words: &[&str]) -> io::Result<Reply> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.0.get_mut().write_all(command.as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line.trim_end();
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, format!("{line:?}"));
        let kind = line.chars().next().ok_or(io::ErrorKind::UnexpectedEof)?;
        let rest = &line[kind.len_utf8()..];
        Ok(match kind {
            '+' => Reply::Simple(rest.to_owned()),
            '-' => Reply::Error(rest.to_owned()),
            ':' => Reply::Number(rest.parse().map_err(|_| invalid())?),
            '$' if rest == "-1" => Reply::Text(None),
            '$' => {
                let mut bytes = vec![0; rest.parse::<usize>().map_err(|_| invalid())? + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Text(Some(String::from_utf8(bytes).map_err(|_| invalid())?))
            }
            '*' if rest == "-1" => Reply::List(None),
            '*' => {
                let count: usize = rest.parse().map_err(|_| invalid())?;
                Reply::List(Some((0..count).map(|_| self.reply()).collect::<io::Result<_>>()?))
            }
            _ => return Err(invalid()),
        })
    }
}
