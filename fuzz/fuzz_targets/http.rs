//! Framing: whatever is accepted can be read in one way only, here by a second and simpler reader, and comes out the
//! same in whatever pieces it arrived.

#![no_main]

use bootstrapd_core::limits::BODY_BYTES_MAX;
use bootstrapd_shell::http::{Body, Chunks, FIELDS_MAX, HEAD_BYTES_MAX, Head, Refused, head_length, read_head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    chunks(input);
    let Some(length) = whole_or_in_pieces(input) else { return };
    let (bytes, rest) = input.split_at(length);
    let Ok(head) = read_head(bytes) else { return };
    is_unambiguous(bytes, &head);
    is_written_and_read_again(&head);
    if head.body == Body::Chunked {
        chunks(rest);
    }
});

/// Sizes of pieces, other ones for each input.
struct Pieces(u64);

impl Pieces {
    fn of(input: &[u8]) -> Self {
        Self(
            input
                .iter()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
                | 1,
        )
    }

    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // Mostly a few bytes, sometimes many.
        1 + usize::try_from(self.0 >> 8).unwrap() % if self.0.is_multiple_of(5) { 300 } else { 4 }
    }
}

fn whole_or_in_pieces(input: &[u8]) -> Option<usize> {
    let whole = head_length(input, 0);
    let mut pieces = Pieces::of(input);
    let (mut scanned, mut in_pieces) = (0, Ok(None));
    while in_pieces == Ok(None) && scanned < input.len() {
        let end = input.len().min(scanned + pieces.next());
        in_pieces = head_length(&input[..end], scanned);
        scanned = end;
    }
    if input.len() <= HEAD_BYTES_MAX {
        assert_eq!(whole, in_pieces);
    }
    // What comes behind 8 KiB may change the reason, never the outcome.
    assert_eq!(whole.ok(), in_pieces.ok());
    let length = whole.ok()??;
    assert!(length <= HEAD_BYTES_MAX && input[..length].ends_with(b"\r\n\r\n"));
    Some(length)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Reads an accepted head again, line by line.
fn is_unambiguous(bytes: &[u8], head: &Head<'_>) {
    // Latin-1: every byte is a character.
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let text = text.strip_prefix("\r\n").unwrap_or(&text);
    let mut lines = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n");
    let words: Vec<_> = lines.next().unwrap().split(' ').collect();
    let [method, target, version] = words[..] else { panic!("{words:?}") };
    assert!(is_token(method) && method == head.method);
    assert_eq!(version, if head.is_1_0 { "HTTP/1.0" } else { "HTTP/1.1" });
    assert!(target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
    assert!(head.path.starts_with('/') || (head.path == "*" && method == "OPTIONS"));
    assert!(!head.path.contains('?') && (target.contains(head.path) || head.path == "/"));

    let fields: Vec<_> = lines.map(|line| line.split_once(':').unwrap()).collect();
    assert!(fields.len() <= FIELDS_MAX);
    for (name, value) in &fields {
        assert!(is_token(name), "{name:?}");
        assert!(value.chars().all(|character| character == '\t' || (character >= ' ' && character != '\x7f')));
    }
    let all = |wanted: &str| {
        let found = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim_matches([' ', '\t'])).collect::<Vec<_>>()
    };
    let (hosts, lengths, codings) = (all("host"), all("content-length"), all("transfer-encoding"));
    assert!(hosts.len() == 1 || (hosts.is_empty() && head.is_1_0));
    is_well_formed_host(head.host, head.is_1_0);
    if target.starts_with('/') {
        assert_eq!(head.host, hosts.first().copied().unwrap_or_default());
    }

    assert!(lengths.len() + codings.len() <= 1);
    assert_eq!(head.has_length, lengths.len() + codings.len() == 1);
    match head.body {
        Body::None => assert!(!head.has_length),
        Body::Length(length) => {
            assert_eq!(lengths, [length.to_string()]);
            assert!(length <= BODY_BYTES_MAX);
        }
        Body::Chunked => assert!(codings[0].eq_ignore_ascii_case("chunked") && !head.is_1_0),
    }
    assert!(!(head.is_1_0 && head.expects_continue));

    let options = all("connection").join(",").to_ascii_lowercase();
    let has = |wanted: &str| options.split(',').any(|option| option.trim_matches([' ', '\t']) == wanted);
    assert_eq!(head.keep_alive, !has("close") && (!head.is_1_0 || has("keep-alive")));
    for (name, value) in [
        ("origin", head.origin),
        ("sec-fetch-site", head.fetch_site),
        ("content-type", head.content_type),
        ("authorization", head.authorization),
        ("last-event-id", head.last_event_id),
    ] {
        let value: Vec<String> = value.iter().map(|value| value.bytes().map(char::from).collect()).collect();
        assert_eq!(all(name), value, "{name}");
    }
}

fn is_well_formed_host(host: &str, may_be_empty: bool) {
    assert!(may_be_empty || !host.is_empty());
    assert!(host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@,\\\"<>^`{|}%".contains(&byte)), "{host}");
    let port = host
        .rsplit_once(']')
        .map_or_else(|| host.split_once(':').map(|(_, port)| port), |(_, rest)| rest.strip_prefix(':'));
    assert!(port.is_none_or(|port| port.is_empty() || port.parse::<u16>().is_ok()), "{host}");
    assert_eq!(host.contains(['[', ']']), host.starts_with('['), "{host}");
}

/// What was understood, written down plainly, is understood as the same.
fn is_written_and_read_again(head: &Head<'_>) {
    // All of them by name: a new one cannot be forgotten.
    let Head {
        method,
        path,
        query,
        host,
        is_1_0,
        keep_alive,
        body,
        has_length: _,
        expects_continue,
        origin,
        fetch_site,
        content_type,
        authorization,
        accept,
        last_event_id,
    } = *head;
    let mark = if query.is_empty() { "" } else { "?" };
    let mut text = format!("{method} {path}{mark}{query} HTTP/1.{}\r\n", u8::from(!is_1_0));
    let length = match body {
        Body::Length(length) => Some(length.to_string()),
        Body::None | Body::Chunked => None,
    };
    for (name, value) in [
        ("Host", (!host.is_empty()).then_some(host)),
        ("Connection", Some(if keep_alive { "keep-alive" } else { "close" })),
        ("Content-Length", length.as_deref()),
        ("Transfer-Encoding", (body == Body::Chunked).then_some("chunked")),
        ("Expect", expects_continue.then_some("100-continue")),
        ("Origin", origin),
        ("Sec-Fetch-Site", fetch_site),
        ("Content-Type", content_type),
        ("Authorization", authorization),
        ("Last-Event-ID", last_event_id),
    ] {
        if let Some(value) = value {
            text += &format!("{name}: {value}\r\n");
        }
    }
    for value in accept.iter().flatten() {
        text += &format!("Accept: {value}\r\n");
    }
    text += "\r\n";
    let again = read_head(text.as_bytes()).unwrap();
    assert_eq!(format!("{head:?}"), format!("{again:?}"));
}

/// How a chunked body ended: what was kept, how much was read, and whether it is complete.
type Decoded = Result<(Vec<u8>, usize, bool), Refused>;

/// Decodes `input` in the pieces that `next` cuts off, keeping at most `limit` bytes.
fn decoded(input: &[u8], limit: usize, mut next: impl FnMut() -> usize) -> Decoded {
    let (mut chunks, mut body, mut taken) = (Chunks::default(), Vec::new(), 0);
    while taken < input.len() && !chunks.is_done() {
        let end = input.len().min(taken.saturating_add(next()));
        let length = chunks.decode(&input[taken..end], |data| {
            if body.len() + data.len() > limit {
                return Err(Refused { status: 413, reason: "too long" });
            }
            body.extend_from_slice(data);
            Ok(())
        })?;
        // Nothing is left over but what lies behind the body.
        assert!(taken + length == end || chunks.is_done());
        taken += length;
    }
    Ok((body, taken, chunks.is_done()))
}

fn chunks(input: &[u8]) {
    let mut pieces = Pieces::of(input);
    for limit in [usize::MAX, 20] {
        let whole = decoded(input, limit, || usize::MAX);
        assert_eq!(whole, decoded(input, limit, || pieces.next()));
        assert_eq!(whole, decoded(input, limit, || 1));
    }
    let Ok((body, taken, true)) = decoded(input, usize::MAX, || usize::MAX) else { return };
    assert_eq!(plainly(&input[..taken]), Some(body.clone()));

    let mut written = Vec::new();
    let mut rest = &body[..];
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(rest.len().min(pieces.next()));
        written.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
        written.extend_from_slice(chunk);
        written.extend_from_slice(b"\r\n");
        rest = behind;
    }
    written.extend_from_slice(b"0\r\n\r\n");
    let length = written.len();
    written.extend_from_slice(b"GET / HTTP/1.1");
    assert_eq!(decoded(&written, usize::MAX, || usize::MAX), Ok((body, length, true)));
}

/// A chunked body as anybody would read it: it must end where `bytes` do.
fn plainly(bytes: &[u8]) -> Option<Vec<u8>> {
    let line = |bytes: &[u8]| bytes.windows(2).position(|end| end == b"\r\n");
    let (mut body, mut rest) = (Vec::new(), bytes);
    loop {
        let end = line(rest)?;
        let text = std::str::from_utf8(&rest[..end]).ok()?;
        assert!(!text.contains(['\r', '\n', '\0']));
        let (size, _) = text.split_at(text.find([';', ' ', '\t']).unwrap_or(text.len()));
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            break;
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest[size..].strip_prefix(b"\r\n")?;
    }
    loop {
        let end = line(rest)?;
        let field = &rest[..end];
        rest = &rest[end + 2..];
        if field.is_empty() {
            return rest.is_empty().then_some(body);
        }
        assert!(!field.iter().any(|byte| b"\r\n\0".contains(byte)));
    }
}
