//! A connection to Redis with nothing between: commands out, replies in (RESP 2,
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>).

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Longest reply that is taken: `INFO` has a few kilobytes.
const BULK_MAX_BYTES: usize = 1 << 20;

/// One connection.
#[derive(Debug)]
pub(crate) struct Redis {
    stream: BufReader<TcpStream>,
    out: Vec<u8>,
}

/// A reply of the kinds that are needed here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Status(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
}

impl Redis {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), out: Vec::new() })
    }

    /// Sends a command and waits for its reply.
    pub(crate) async fn call(&mut self, words: &[&[u8]]) -> Result<Reply> {
        self.queue(words);
        self.flush().await?;
        self.reply().await
    }

    /// Adds a command to those that are sent by [`Redis::flush`]; each has a reply of its own.
    pub(crate) fn queue(&mut self, words: &[&[u8]]) {
        self.out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            self.out.extend_from_slice(word);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    pub(crate) async fn reply(&mut self) -> Result<Reply> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            bail!("redis closed the connection");
        }
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).context("an empty reply")?;
        Ok(match kind {
            "+" => Reply::Status(rest.to_owned()),
            ":" => Reply::Integer(rest.parse()?),
            "-" => bail!("redis refused a command: {rest}"),
            "$" if rest == "-1" => Reply::Nil,
            "$" => {
                let length: usize = rest.parse()?;
                if length > BULK_MAX_BYTES {
                    bail!("redis sent {length} bytes");
                }
                let mut bytes = vec![0; length + 2];
                self.stream.read_exact(&mut bytes).await?;
                bytes.truncate(length);
                Reply::Bulk(bytes)
            }
            _ => bail!("redis sent {line:?}"),
        })
    }

    /// `used_memory` of `INFO`: bytes that the data and Redis itself take.
    pub(crate) async fn used_memory(&mut self) -> Result<u64> {
        let Reply::Bulk(info) = self.call(&[b"INFO", b"memory"]).await? else {
            bail!("INFO gave no text")
        };
        let info = String::from_utf8_lossy(&info);
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        Ok(line.context("INFO names no used_memory")?.trim().parse()?)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers what it is told to, whatever it is asked.
    async fn answering(answers: &'static str) -> Redis {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        nightshift_telemetry::spawn("redis", async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answers.as_bytes()).await.unwrap();
            let mut asked = Vec::new();
            stream.read_to_end(&mut asked).await.unwrap();
        });
        Redis::connect(address).await.unwrap()
    }

    #[tokio::test]
    async fn replies_are_understood() {
        let mut redis =
            answering("+OK\r\n:-7\r\n$5\r\na\r\nbc\r\n$-1\r\n$26\r\n# Memory\r\nused_memory:99\r\n\r\n-ERR no\r\n?\r\n").await;
        assert_eq!(redis.call(&[b"A"]).await.unwrap(), Reply::Status("OK".into()));
        assert_eq!(redis.reply().await.unwrap(), Reply::Integer(-7));
        assert_eq!(redis.reply().await.unwrap(), Reply::Bulk(b"a\r\nbc".into()));
        assert_eq!(redis.reply().await.unwrap(), Reply::Nil);
        assert_eq!(redis.used_memory().await.unwrap(), 99);
        assert!(redis.reply().await.unwrap_err().to_string().contains("ERR no"));
        assert!(redis.reply().await.is_err());
    }

    #[tokio::test]
    async fn hostile_lengths_are_refused() {
        for answer in ["$99999999999\r\n", "$-2\r\n", "$x\r\n", "\r\n"] {
            assert!(answering(answer).await.reply().await.is_err(), "{answer:?}");
        }
    }
}
