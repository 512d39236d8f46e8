//! The download against a server that misbehaves in every way a real one does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use voxgrad_models::Error;
use voxgrad_models::data::archive::Archive;
use voxgrad_models::data::download::{Downloader, RemoteFile};
use voxgrad_models::data::mirrors::Mirrors;

/// How the server answers one connection.
#[derive(Clone, Copy)]
enum Answer {
    /// What was asked for: the rest after a Range, or all.
    Well,
    /// What was asked for, but the connection is cut after so many bytes.
    Cut(usize),
    /// All of it, whatever Range says.
    IgnoringRange,
    /// A range that was not asked for.
    OtherRange,
    /// So many bytes of headers and body, then silence.
    Silence(usize),
    /// This status line and no body.
    Status(&'static str),
}

/// A server on this machine that gives out `body`, its connections answered in turn as `answers`
/// say and then well.
struct Server {
    url: String,
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    fn start(body: Vec<u8>, answers: &[Answer]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/letters.tar.gz", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(vec![]));
        let (answers, seen) = (answers.to_vec(), ranges.clone());
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let answer = answers.get(n).copied().unwrap_or(Answer::Well);
                // The client may hang up first.
                let _ = serve(stream.unwrap(), &body, answer, &seen);
            }
        });
        Server { url, ranges }
    }

    /// The first byte that each request so far asked for.
    fn ranges(&self) -> Vec<Option<usize>> {
        self.ranges.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    body: &[u8],
    answer: Answer,
    seen: &Mutex<Vec<Option<usize>>>,
) -> std::io::Result<()> {
    let mut range = None;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(start) = line.strip_prefix("range: bytes=") {
            range = Some(start.trim_end_matches('-').parse::<usize>().unwrap());
        }
    }
    seen.lock().unwrap().push(range);
    let total = body.len();
    let (status, first) = match (answer, range) {
        (Answer::Status(status), _) => {
            return write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        (Answer::OtherRange, Some(start)) => ("206 Partial Content", start + 1),
        (Answer::IgnoringRange, _) | (_, None) => ("200 OK", 0),
        (_, Some(start)) => ("206 Partial Content", start),
    };
    let rest = &body[first..];
    let end = total - 1;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{end}/{total}\r\n\
         Connection: close\r\n\r\n",
        rest.len(),
    )?;
    match answer {
        Answer::Cut(bytes) => stream.write_all(&rest[..bytes]),
        Answer::Silence(bytes) => {
            stream.write_all(&rest[..bytes])?;
            stream.read(&mut [0]).map(|_| ()) // until the client gives up
        }
        _ => stream.write_all(rest),
    }
}

fn md5_of(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A `.tar.gz` with these files, each a long one that doesn't compress.
fn archive_of(files: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(vec![], Compression::fast()));
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(CONTENTS_LEN as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, file, &contents(file)[..]).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

const CONTENTS_LEN: usize = 100_000;

fn contents(file: &str) -> Vec<u8> {
    let mut state = file.bytes().fold(1u32, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(CONTENTS_LEN)
    .collect()
}

const FILES: [&str; 2] = ["a.bin", "b.bin"];

/// What a test asks for: an archive whose size and sum are those of `body`, from `server`.
struct Wanted {
    bytes: u64,
    md5: String,
}

impl Wanted {
    fn of(body: &[u8]) -> Wanted {
        Wanted { bytes: body.len() as u64, md5: md5_of(body) }
    }

    fn install(&self, server: &Server, directory: &Path) -> Result<PathBuf, Error> {
        self.install_patiently(server, directory, Duration::from_secs(20))
    }

    fn install_patiently(
        &self,
        server: &Server,
        directory: &Path,
        read_timeout: Duration,
    ) -> Result<PathBuf, Error> {
        let file = RemoteFile { url: &server.url, bytes: self.bytes, md5: &self.md5 };
        let archive = Archive { name: "letters", file, folder: "letters", files: &FILES };
        let downloader = Downloader {
            progress: false,
            read_timeout,
            attempts: 3,
            pause: Duration::from_millis(1),
            ..Downloader::default()
        };
        archive.install(directory, &downloader)
    }
}

fn good_archive() -> Vec<u8> {
    archive_of(&["letters/a.bin", "letters/b.bin", "letters/readme.html"])
}

/// The visible entries of a directory, sorted.
fn listing(directory: &Path) -> Vec<String> {
    let names = directory.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
    names.sort();
    names
}

fn assert_installed(directory: &Path) {
    assert_eq!(listing(directory), ["letters"]);
    assert_eq!(listing(&directory.join("letters")), ["a.bin", "b.bin", "readme.html"]);
    for file in FILES {
        let bytes = std::fs::read(directory.join("letters").join(file)).unwrap();
        assert_eq!(bytes, contents(&format!("letters/{file}")));
    }
}

#[test]
fn a_whole_download_is_unpacked_in_place_and_only_once() {
    let body = good_archive();
    let server = Server::start(body.clone(), &[]);
    let home = tempfile::tempdir().unwrap();
    // The directory is made on the way.
    let directory = home.path().join("cache/voxgrad");
    let target = Wanted::of(&body).install(&server, &directory).unwrap();
    assert_eq!(target, directory.join("letters"));
    assert_installed(&directory);
    assert_eq!(server.ranges(), [None]);
    Wanted::of(&body).install(&server, &directory).unwrap();
    assert_eq!(server.ranges(), [None], "what is there is not fetched again");
}

#[test]
fn a_cut_connection_is_taken_up_where_it_broke() {
    let body = good_archive();
    let server = Server::start(body.clone(), &[Answer::Cut(70_000), Answer::Cut(50_000)]);
    let directory = tempfile::tempdir().unwrap();
    Wanted::of(&body).install(&server, directory.path()).unwrap();
    assert_installed(directory.path());
    assert_eq!(server.ranges(), [None, Some(70_000), Some(120_000)]);
}

#[test]
fn a_server_that_stays_cut_leaves_the_beginning_for_the_next_run() {
    let body = good_archive();
    let stays_cut = [Answer::Cut(1000), Answer::Cut(0), Answer::Cut(0), Answer::Cut(0)];
    let server = Server::start(body.clone(), &stays_cut);
    let directory = tempfile::tempdir().unwrap();
    let message = Wanted::of(&body).install(&server, directory.path()).unwrap_err().to_string();
    assert!(message.starts_with(&format!("download of {} failed: ", server.url)), "{message}");
    assert!(message.contains(&format!("1000 of {} bytes are kept", body.len())), "{message}");
    assert_eq!(listing(directory.path()), ["letters.part"]);

    Wanted::of(&body).install(&server, directory.path()).unwrap();
    assert_installed(directory.path());
    assert_eq!(server.ranges(), [None, Some(1000), Some(1000), Some(1000), Some(1000)]);
}

#[test]
fn a_silent_server_is_not_waited_for_forever() {
    let body = good_archive();
    let server = Server::start(body.clone(), &[Answer::Silence(2000)]);
    let directory = tempfile::tempdir().unwrap();
    let patience = Duration::from_millis(500);
    Wanted::of(&body).install_patiently(&server, directory.path(), patience).unwrap();
    assert_installed(directory.path());
    assert_eq!(server.ranges()[..2], [None, Some(2000)]);
}

#[test]
fn a_server_that_ignores_range_sends_it_all_again() {
    let body = good_archive();
    let server = Server::start(body.clone(), &[Answer::Cut(5000), Answer::IgnoringRange]);
    let directory = tempfile::tempdir().unwrap();
    Wanted::of(&body).install(&server, directory.path()).unwrap();
    assert_installed(directory.path());
    assert_eq!(server.ranges(), [None, Some(5000)]);
}

#[test]
fn a_beginning_longer_than_the_file_is_thrown_away() {
    let body = good_archive();
    for answers in [&[][..], &[Answer::Status("416 Range Not Satisfiable")]] {
        let server = Server::start(body.clone(), answers);
        let directory = tempfile::tempdir().unwrap();
        let too_long = body.len() + answers.len() * 100_000 + 1;
        std::fs::write(directory.path().join("letters.part"), vec![7; too_long]).unwrap();
        Wanted::of(&body).install(&server, directory.path()).unwrap();
        assert_installed(directory.path());
    }
}

#[test]
fn a_range_that_was_not_asked_for_is_refused() {
    let body = good_archive();
    let server = Server::start(body.clone(), &[Answer::Cut(5000), Answer::OtherRange]);
    let directory = tempfile::tempdir().unwrap();
    let message = Wanted::of(&body).install(&server, directory.path()).unwrap_err().to_string();
    assert!(message.contains("asked for bytes 5000-, the server sends bytes 5001-"), "{message}");
    assert_eq!(listing(directory.path()), ["letters.part"]);
}

#[test]
fn a_file_of_another_size_is_not_even_fetched() {
    let body = good_archive();
    let server = Server::start(body.clone(), &[]);
    let directory = tempfile::tempdir().unwrap();
    let wanted = Wanted { bytes: body.len() as u64 + 1, ..Wanted::of(&body) };
    let message = wanted.install(&server, directory.path()).unwrap_err().to_string();
    let expected = format!("the server's file has {} bytes, not {}", body.len(), body.len() + 1);
    assert!(message.ends_with(&expected), "{message}");
    assert_eq!(listing(directory.path()), [""; 0]);
}

#[test]
fn a_wrong_checksum_deletes_what_came() {
    let body = good_archive();
    let server = Server::start(body.clone(), &[]);
    let directory = tempfile::tempdir().unwrap();
    let wanted = Wanted { md5: md5_of(b"something else"), ..Wanted::of(&body) };
    let message = wanted.install(&server, directory.path()).unwrap_err().to_string();
    let expected = format!("its MD5 sum is {}, not {}; what came was deleted", md5_of(&body), wanted.md5);
    assert!(message.ends_with(&expected), "{message}");
    assert_eq!(listing(directory.path()), [""; 0]);
    // The next run starts over and can succeed.
    Wanted::of(&body).install(&server, directory.path()).unwrap();
    assert_installed(directory.path());
}

#[test]
fn an_archive_that_is_truncated_or_no_archive_puts_nothing_in_place() {
    let whole = good_archive();
    for (body, expected) in [
        (whole[..whole.len() / 2].to_vec(), "letters.part: cannot be unpacked: "),
        (b"<html>Not Found</html>".to_vec(), "letters.part: cannot be unpacked: "),
        (archive_of(&["letters/a.bin"]), "letters.part: the archive holds no letters/b.bin"),
        (archive_of(&["other/a.bin", "other/b.bin"]), "letters.part: the archive holds no letters/a.bin"),
    ] {
        let server = Server::start(body.clone(), &[]);
        let directory = tempfile::tempdir().unwrap();
        let message = Wanted::of(&body).install(&server, directory.path()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert_eq!(listing(directory.path()), ["letters.part"]);
    }
}

#[test]
fn a_refusal_names_address_and_status() {
    for status in ["404 Not Found", "403 Forbidden"] {
        let body = good_archive();
        let server = Server::start(body.clone(), &[Answer::Status(status)]);
        let directory = tempfile::tempdir().unwrap();
        let message = Wanted::of(&body).install(&server, directory.path()).unwrap_err().to_string();
        assert_eq!(message, format!("download of {} failed: the server answers {status}", server.url));
    }
}

#[test]
fn a_busy_server_is_asked_again() {
    let body = good_archive();
    let busy =
        ["503 Service Unavailable", "429 Too Many Requests", "408 Request Timeout"].map(Answer::Status);
    // Two that bring nothing, one that brings something, two again: never three in a row.
    let answers = [busy[0], busy[1], Answer::Cut(1000), busy[2], Answer::Cut(0)];
    let server = Server::start(body.clone(), &answers);
    let directory = tempfile::tempdir().unwrap();
    Wanted::of(&body).install(&server, directory.path()).unwrap();
    assert_installed(directory.path());
    assert_eq!(server.ranges(), [None, None, None, Some(1000), Some(1000), Some(1000)]);

    let server = Server::start(body.clone(), &[busy[0]; 9]);
    let directory = tempfile::tempdir().unwrap();
    let message = Wanted::of(&body).install(&server, directory.path()).unwrap_err().to_string();
    assert!(message.ends_with("the server answers 503 Service Unavailable, 3 times in a row"), "{message}");
    assert_eq!(server.ranges().len(), 3);
}

#[test]
fn a_beginning_of_something_else_is_fetched_anew() {
    let body = good_archive();
    let server = Server::start(body.clone(), &[]);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("letters.part"), [7; 1000]).unwrap();
    Wanted::of(&body).install(&server, directory.path()).unwrap();
    assert_installed(directory.path());
    assert_eq!(server.ranges(), [Some(1000), None]);
}

#[test]
fn a_name_that_nobody_knows_fails_at_once() {
    let server = Server { url: "http://no.such.host.invalid/letters.tar.gz".into(), ranges: Arc::default() };
    let directory = tempfile::tempdir().unwrap();
    let message = Wanted::of(b"x").install(&server, directory.path()).unwrap_err().to_string();
    assert!(!message.contains("in a row"), "{message}");
}

#[test]
fn nobody_listening_is_an_error() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server { url: format!("http://{unused}/letters.tar.gz"), ranges: Arc::default() };
    let directory = tempfile::tempdir().unwrap();
    let error = Wanted::of(b"x").install(&server, directory.path()).unwrap_err();
    assert!(matches!(error, Error::Download { .. }), "{error}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("cache");
    std::fs::write(&file, "good").unwrap();
    let server = Server::start(good_archive(), &[]);
    let directory = file.join("voxgrad");
    let message = Wanted::of(&good_archive()).install(&server, &directory).unwrap_err().to_string();
    assert!(message.starts_with(&directory.display().to_string()), "{message}");
    assert_eq!(std::fs::read(&file).unwrap(), b"good");
    assert!(server.ranges().is_empty());
}

#[test]
fn what_stands_in_the_way_is_not_touched() {
    let body = good_archive();
    let server = Server::start(body.clone(), &[]);
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("letters");
    std::fs::create_dir(&target).unwrap();
    std::fs::write(target.join("a.bin"), "precious").unwrap();
    let message = Wanted::of(&body).install(&server, directory.path()).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: is in the way", target.display())), "{message}");
    assert_eq!(std::fs::read(target.join("a.bin")).unwrap(), b"precious");
    assert!(server.ranges().is_empty());
    // An empty folder is in nobody's way.
    std::fs::remove_file(target.join("a.bin")).unwrap();
    Wanted::of(&body).install(&server, directory.path()).unwrap();
    assert_installed(directory.path());
}

/// `/dev/full` takes no byte: every write to it finds the disk full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let body = good_archive();
    let server = Server::start(body.clone(), &[]);
    let directory = tempfile::tempdir().unwrap();
    let part = directory.path().join("letters.part");
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    let error = Wanted::of(&body).install(&server, directory.path()).unwrap_err();
    let Error::Engine(voxgrad_engine::Error::Io { path, source }) = error else { panic!("{error}") };
    assert_eq!((path, source.kind()), (part, std::io::ErrorKind::StorageFull));
    assert_eq!(server.ranges().len(), 1, "a full disk is not tried again");
}

#[test]
fn two_at_once_fetch_it_once() {
    let body = good_archive();
    let server = Server::start(body.clone(), &[]);
    let directory = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| Wanted::of(&body).install(&server, directory.path()).unwrap());
        }
    });
    assert_installed(directory.path());
    assert_eq!(server.ranges(), [None]);
}

/// What every address ends with is cut off: any name below the server's gives the same file.
fn base(server: &Server) -> &str {
    server.url.trim_end_matches("letters.tar.gz")
}

fn install_from(servers: &[&Server], body: &[u8], directory: &Path) -> Result<PathBuf, Error> {
    let servers: Vec<&str> = servers.iter().map(|server| base(server)).collect();
    let (bytes, md5) = (body.len() as u64, md5_of(body));
    let files = [("a.gz", bytes, md5.as_str()), ("b.gz", bytes, md5.as_str())];
    let mirrors = Mirrors { folder: "letters", servers: &servers, files: &files };
    let pause = Duration::from_millis(1);
    mirrors.install(directory, &Downloader { progress: false, attempts: 1, pause, ..Downloader::default() })
}

#[test]
fn a_file_comes_from_the_first_server_that_has_it() {
    let body = contents("letters");
    let gone = Answer::Status("404 Not Found");
    let (first, second) =
        (Server::start(body.clone(), &[Answer::Well, gone]), Server::start(body.clone(), &[]));
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("cache/voxgrad");
    let target = install_from(&[&first, &second], &body, &directory).unwrap();
    assert_eq!(
        (listing(&directory), listing(&target)),
        (vec!["letters".into()], vec!["a.gz".into(), "b.gz".into()])
    );
    assert_eq!(std::fs::read(target.join("b.gz")).unwrap(), body);
    assert_eq!((first.ranges().len(), second.ranges().len()), (2, 1));
    install_from(&[&first, &second], &body, &directory).unwrap();
    assert_eq!((first.ranges().len(), second.ranges().len()), (2, 1), "what is there is not fetched again");
}

#[test]
fn the_next_server_goes_on_where_the_first_broke_off() {
    let body = contents("letters");
    let cut = Server::start(body.clone(), &[Answer::Cut(3000), Answer::Cut(0)]);
    let whole = Server::start(body.clone(), &[]);
    let directory = tempfile::tempdir().unwrap();
    install_from(&[&cut, &whole], &body, directory.path()).unwrap();
    assert_eq!(whole.ranges()[0], Some(3000));
}

#[test]
fn when_no_server_has_it_all_are_named_and_nothing_is_in_place() {
    let body = contents("letters");
    let gone = [Answer::Status("404 Not Found")];
    let (first, second) = (Server::start(body.clone(), &gone), Server::start(body.clone(), &gone));
    let directory = tempfile::tempdir().unwrap();
    let message = install_from(&[&first, &second], &body, directory.path()).unwrap_err().to_string();
    for server in [&first, &second] {
        assert!(message.contains(&format!("{}a.gz", base(server))), "{message}");
    }
    assert!(
        message.ends_with("failed: the server answers 404 Not Found; the server answers 404 Not Found"),
        "{message}"
    );
    assert_eq!(listing(directory.path()), [""; 0]);

    // A wrong file is refused too, and a later call gets the right one.
    let wrong = Server::start(contents("other"), &[]);
    let message = install_from(&[&wrong], &body, directory.path()).unwrap_err().to_string();
    assert!(message.contains("its MD5 sum is "), "{message}");
    assert_eq!(listing(directory.path()), [""; 0]);
    let cut = Server::start(body.clone(), &[Answer::Well, Answer::Cut(1000), Answer::Cut(0)]);
    assert!(install_from(&[&cut], &body, directory.path()).is_err());
    assert_eq!(listing(&directory.path().join(".letters.fetching")), ["a.gz", "b.gz.part"]);
    install_from(&[&cut], &body, directory.path()).unwrap();
    assert_eq!(cut.ranges(), [None, None, Some(1000), Some(1000)]);
    assert_eq!(listing(directory.path()), ["letters"]);

    std::fs::remove_file(directory.path().join("letters/a.gz")).unwrap();
    let message = install_from(&[&cut], &body, directory.path()).unwrap_err().to_string();
    assert!(message.contains("letters: is in the way"), "{message}");
}
