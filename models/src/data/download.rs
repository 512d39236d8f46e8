//! Fetching a file from a server: resumed where it broke off, and checked when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use md5::{Digest, Md5};
use ureq::Body;
use ureq::http::{Response, StatusCode};

use crate::{Error, Result};

/// A file on a server, and how to tell that it came whole.
#[derive(Debug, Clone, Copy)]
pub struct RemoteFile<'a> {
    /// Where it is.
    pub url: &'a str,
    /// Its size in bytes.
    pub bytes: u64,
    /// The MD5 sum of its contents, in hexadecimal.
    pub md5: &'a str,
}

/// How files are fetched.
#[derive(Debug, Clone)]
pub struct Downloader {
    /// Whether to show a progress bar.
    pub progress: bool,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long the server may stay silent.
    pub read_timeout: Duration,
    /// How many connections in a row may bring nothing. One that brings something is followed by
    /// another that goes on where it broke off.
    pub attempts: usize,
    /// How long to wait before connecting again; twice as long after each one that brought nothing.
    pub pause: Duration,
}

impl Default for Downloader {
    fn default() -> Downloader {
        Downloader {
            progress: true,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            attempts: 5,
            pause: Duration::from_secs(1),
        }
    }
}

/// Why one connection didn't bring the whole file.
enum Stop {
    /// It didn't come about: at the very first try a sign that there is no network.
    Unreachable(String),
    /// It broke off, or the server is busy: another one can go on from there.
    Cut(String),
    /// Another one would fare no better.
    Refused(String),
    /// The file cannot be written here.
    Disk(io::Error),
}

impl Downloader {
    /// Fetches `file` to `part`. What is already in `part` is taken to be the beginning of it, and
    /// what has come stays there when the rest doesn't, so that the next call goes on from there.
    /// If the whole then has another checksum, it is fetched once more from its first byte.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, sends another size than `file.bytes`, or the
    /// result has another checksum; `part` is deleted in this last case.
    pub fn fetch(&self, file: &RemoteFile<'_>, part: &Path) -> Result<()> {
        let fetched = self.fetch_and_check(file, part);
        if fetched.is_err() && part.metadata().is_ok_and(|part| part.len() == 0) {
            let _ = std::fs::remove_file(part); // nothing came: nothing to go on with
        }
        fetched
    }

    fn fetch_and_check(&self, file: &RemoteFile<'_>, part: &Path) -> Result<()> {
        let mut out = OpenOptions::new().create(true).append(true).open(part).map_err(Error::io(part))?;
        let mut begun_before = out.metadata().map_err(Error::io(part))?.len() > 0;
        loop {
            self.receive_all(file, part, &mut out)?;
            out.sync_all().map_err(Error::io(part))?;
            let md5 = md5_of(part).map_err(Error::io(part))?;
            if md5.eq_ignore_ascii_case(file.md5) {
                return Ok(());
            }
            if !begun_before {
                drop(out);
                std::fs::remove_file(part).map_err(Error::io(part))?;
                let message = format!("its MD5 sum is {md5}, not {}; what came was deleted", file.md5);
                return Err(Error::Download { url: file.url.into(), message });
            }
            // The beginning that was here may have been of something else.
            begun_before = false;
            out.set_len(0).map_err(Error::io(part))?;
        }
    }

    /// Connects until `out`, the file at `part`, has all bytes.
    fn receive_all(&self, file: &RemoteFile<'_>, part: &Path, out: &mut File) -> Result<()> {
        let fail = |message| Error::Download { url: file.url.into(), message };
        let bar = self.bar(file);
        let (mut first, mut most, mut fruitless) = (true, 0, 0);
        loop {
            let before = out.metadata().map_err(Error::io(part))?.len();
            bar.set_position(before);
            if before == file.bytes {
                bar.finish_and_clear();
                return Ok(());
            }
            let Err(stop) = self.connect_once(file, before, out, &bar) else { continue };
            let have = out.metadata().map_err(Error::io(part))?.len();
            let message = match stop {
                Stop::Disk(source) => return Err(Error::io(part)(source)),
                Stop::Refused(message) => return Err(fail(message)),
                Stop::Unreachable(message) if first => return Err(fail(message)),
                Stop::Unreachable(message) | Stop::Cut(message) => message,
            };
            first = false;
            // A server that can't go on in the middle may bring the same beginning again and again.
            fruitless = if have > before.max(most) { 0 } else { fruitless + 1 };
            most = most.max(have);
            if fruitless >= self.attempts {
                let tries = format!("{message}, {fruitless} times in a row");
                if have == 0 {
                    return Err(fail(tries));
                }
                let kept = format!("{have} of {} bytes are kept in {}", file.bytes, part.display());
                return Err(fail(format!("{tries}; {kept}, the next run goes on from there")));
            }
            std::thread::sleep(self.pause * (1 << fruitless.min(5)));
        }
    }

    fn bar(&self, file: &RemoteFile<'_>) -> ProgressBar {
        if !self.progress {
            return ProgressBar::hidden();
        }
        let style = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
        let name = file.url.rsplit('/').next().unwrap_or(file.url);
        ProgressBar::new(file.bytes)
            .with_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_message(name.to_string())
    }

    /// Asks for what is missing after the first `have` bytes and appends it to `out`.
    fn connect_once(
        &self,
        file: &RemoteFile<'_>,
        have: u64,
        out: &mut File,
        bar: &ProgressBar,
    ) -> std::result::Result<(), Stop> {
        let agent = ureq::Agent::config_builder()
            .timeout_connect(Some(self.connect_timeout))
            .timeout_recv_response(Some(self.read_timeout))
            .timeout_per_read(Some(self.read_timeout))
            .http_status_as_error(false)
            .build()
            .new_agent();
        let mut request = agent.get(file.url);
        if have > 0 && have < file.bytes {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let mut response = request.call().map_err(without_answer)?;
        if have > 0 && response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return out.set_len(0).map_err(Stop::Disk); // start over
        }
        let start = check(&response, file, have)?;
        if start == 0 && have > 0 {
            out.set_len(0).map_err(Stop::Disk)?;
            bar.set_position(0);
        }
        let body = &mut response.body_mut().as_reader();
        receive(body, out, file.bytes - start, |bytes| bar.inc(bytes))
    }
}

/// What it means that no answer came.
fn without_answer(error: ureq::Error) -> Stop {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    use ureq::{Error, Timeout};
    let message = error.to_string();
    match error {
        Error::Io(error) => match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof => Stop::Cut(message),
            _ => Stop::Unreachable(message),
        },
        Error::Timeout(Timeout::Resolve | Timeout::Connect)
        | Error::HostNotFound
        | Error::ConnectionFailed => Stop::Unreachable(message),
        Error::Timeout(_) => Stop::Cut(message),
        _ => Stop::Refused(message),
    }
}

/// Whether the server sends what was asked for, and from which byte on: 0 when it doesn't know how
/// to go on in the middle, or there is more than there should be and all of it has to come anew.
fn check(response: &Response<Body>, file: &RemoteFile<'_>, have: u64) -> std::result::Result<u64, Stop> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let (start, total) = match response.status().as_u16() {
        200 => (0, response.body().content_length()),
        206 => {
            let range = header("content-range").unwrap_or("no range");
            match content_range(range) {
                Some((start, total)) if start == have => (start, total),
                _ => return Err(Stop::Refused(format!("asked for bytes {have}-, the server sends {range}"))),
            }
        }
        408 | 429 | 500.. => return Err(Stop::Cut(format!("the server answers {}", response.status()))),
        _ => return Err(Stop::Refused(format!("the server answers {}", response.status()))),
    };
    match total {
        Some(total) if total != file.bytes => {
            let expected = file.bytes;
            Err(Stop::Refused(format!("the server's file has {total} bytes, not {expected}")))
        }
        _ => Ok(start),
    }
}

/// Start and total of `bytes START-END/TOTAL`; a total of `*` is not known.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// Copies exactly `expected` bytes from `body` to `out`.
fn receive(
    body: &mut impl Read,
    out: &mut impl Write,
    expected: u64,
    mut received: impl FnMut(u64),
) -> std::result::Result<(), Stop> {
    let mut buffer = vec![0; 1 << 16];
    let mut left = expected;
    loop {
        match body.read(&mut buffer) {
            Ok(0) if left == 0 => return Ok(()),
            Ok(0) => return Err(Stop::Cut(format!("the connection was cut {left} bytes before the end"))),
            Ok(n) if n as u64 > left => {
                return Err(Stop::Refused(format!("the server sends more than the {expected} bytes left")));
            }
            Ok(n) => {
                out.write_all(&buffer[..n]).map_err(Stop::Disk)?;
                left -= n as u64;
                received(n as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Stop::Cut(format!("{error}, {left} bytes before the end"))),
        }
    }
}

fn md5_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_servers_write_them() {
        assert_eq!(content_range("bytes 10-19/20"), Some((10, Some(20))));
        assert_eq!(content_range("bytes 0-4/*"), Some((0, None)));
        for wrong in ["", "bytes */20", "10-19/20", "bytes 10-19", "bytes x-19/20"] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }

    /// A disk with room for so many bytes.
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let n = bytes.len().min(self.0);
            self.0 -= n;
            Ok(n)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_the_disks_error() {
        let stop = receive(&mut &[1; 100][..], &mut Disk(50), 100, |_| {});
        assert!(matches!(stop, Err(Stop::Disk(error)) if error.kind() == io::ErrorKind::StorageFull));
        assert!(receive(&mut &[1; 100][..], &mut Disk(100), 100, |_| {}).is_ok());
    }

    #[test]
    fn too_little_is_a_cut_and_too_much_is_refused() {
        let mut out = vec![];
        assert!(matches!(receive(&mut &[1; 99][..], &mut out, 100, |_| {}), Err(Stop::Cut(_))));
        assert_eq!(out.len(), 99);
        let mut out = vec![];
        assert!(matches!(receive(&mut &[1; 101][..], &mut out, 100, |_| {}), Err(Stop::Refused(_))));
        assert!(out.len() <= 100);
    }
}
