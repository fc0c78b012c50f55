//! What a node answers, read and told.

use std::fmt::Write as _;

use bootstrapd_core::json::{Reader, Token};

use crate::call::Answer;

impl Answer {
    /// The code of an error, or nothing.
    pub(super) fn error_code(&self) -> String {
        lookup(self.text(), &["error_code"]).unwrap_or_default()
    }

    /// The description that an error answer has, or its status.
    pub(super) fn describe(&self) -> String {
        let description = lookup(self.text(), &["description"]);
        description.unwrap_or_else(|| format!("an answer with status {}", self.status))
    }

    /// Every problem of a refused configuration, a line each.
    pub(super) fn problems(&self) -> String {
        let lines = problems(self.text());
        if lines.is_empty() { self.describe() } else { lines.join("\n") }
    }
}

fn problems(document: &str) -> Vec<String> {
    details(document, "problems", |find| {
        let (pointer, message) = (find("pointer")?, find("message")?);
        // The whole body's is empty.
        Some(if pointer.is_empty() { message } else { format!("{pointer}: {message}") })
    })
}

/// A member of a failure, in a status document or by itself.
fn of_failure(document: &str, path: &[&str]) -> Option<String> {
    lookup(document, &[&["bootstrap_status"], path].concat()).or_else(|| lookup(document, path))
}

/// A line for each object of a list among the details of a failure; `line` is given the members of one.
fn details(
    document: &str,
    list: &str,
    line: impl Fn(&dyn Fn(&str) -> Option<String>) -> Option<String>,
) -> Vec<String> {
    let lines = (0..).map_while(|index: usize| {
        let index = index.to_string();
        line(&|name| of_failure(document, &["error_details", list, &index, name]))
    });
    lines.collect()
}

/// The code and the message of an attempt that failed, and a line for each problem, node or setting that it names.
pub(super) fn failure(document: &str) -> String {
    let find = |path: &[&str]| of_failure(document, path).unwrap_or_default();
    let mut lines = vec![format!("{}: {}", find(&["error_code"]), find(&["error_details", "message"]))];
    lines.extend(problems(document));
    lines.extend(details(document, "nodes_tried", |find| Some(format!("{}: {}", find("node")?, find("reason")?))));
    lines.extend(details(document, "failed_nodes", |find| {
        let rack = find("rack_id").map(|rack| format!(", rack {rack}")).unwrap_or_default();
        Some(format!("failed: node {}{rack}", find("uid")?))
    }));
    lines.extend(details(document, "mismatches", |find| {
        Some(format!("{}: {} in the cluster, {} here", find("setting")?, find("cluster")?, find("node")?))
    }));
    let candidate = of_failure(document, &["error_details", "replace_candidate"]);
    lines.extend(candidate.map(|uid| format!("to replace: node {uid}")));
    lines.join("\n")
}

/// The columns of a list of nodes: what people call them, and the members.
const COLUMNS: [(&str, &str); 5] =
    [("UID", "uid"), ("STATUS", "status"), ("ADDR", "addr"), ("RACK_ID", "rack_id"), ("VERSION", "software_version")];

/// A list of nodes for people; `None` where the document is none.
pub(super) fn nodes(document: &str) -> Option<String> {
    let (mut reader, token) = find(document, &[])?;
    let mut rows = vec![COLUMNS.map(|(title, _)| title.to_owned()).to_vec()];
    rows.append(&mut objects(&mut reader, token, &COLUMNS.map(|(_, member)| member))?);
    reader.token().ok()?.is_none().then(|| aligned(&rows))
}

/// Of each object of a list that begins with `token`, these members, empty where there is none; read in one pass, as a
/// list may be long.
pub(super) fn objects(reader: &mut Reader<'_>, token: Token<'_>, members: &[&str]) -> Option<Vec<Vec<String>>> {
    let Token::ArrayStart = token else { return None };
    let mut rows = Vec::new();
    let mut token = reader.token().ok()??;
    while token == Token::ObjectStart {
        rows.push(row(reader, members)?);
        token = reader.token().ok()??;
    }
    (token == Token::ArrayEnd).then_some(rows)
}

/// The rest of an object as a row.
fn row(reader: &mut Reader<'_>, members: &[&str]) -> Option<Vec<String>> {
    let mut row = vec![String::new(); members.len()];
    while let Token::Name(name) = reader.token().ok()?? {
        let value = reader.clone().token().ok()??;
        for (cell, member) in row.iter_mut().zip(members) {
            if name.is(member) {
                *cell = scalar(value).unwrap_or_default();
            }
        }
        reader.skip_value().ok()?;
    }
    Some(row)
}

/// Rows as lines, each column as wide as its widest cell; a dash where there is nothing.
fn aligned(rows: &[Vec<String>]) -> String {
    let mut widths = [0; COLUMNS.len()];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &Vec<String>| {
        let shown = row.iter().map(|cell| if cell.is_empty() { "-" } else { cell });
        let cells: Vec<_> = shown.zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A status document for people.
pub(super) fn for_people(document: &str) -> String {
    let bootstrap = |name: &str| lookup(document, &["bootstrap_status", name]);
    let node = |name: &str| lookup(document, &["local_node_info", name]);
    let mut text = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<10} {value}");
        }
    };
    line("state", bootstrap("state"));
    line("started", bootstrap("start_time"));
    line("ended", bootstrap("end_time"));
    line("error", bootstrap("error_code").map(|_| failure(document).replace('\n', "\n           ")));
    line("uid", node("uid"));
    line("version", node("software_version"));
    line("system", node("os_version"));
    line("cores", node("cores"));
    line("memory", node("total_memory").map(|bytes| in_gib(&bytes)));
    line("persistent", node("persistent_storage_path"));
    line("ephemeral", node("ephemeral_storage_path"));
    line("flash", node("bigredis_storage_path"));
    for index in 0.. {
        let index = index.to_string();
        let find = |name: &str| lookup(document, &["local_node_info", "available_addrs", &index, name]);
        let Some(address) = find("address") else { break };
        line("address", Some(format!("{address} on {}", find("if_name").unwrap_or_default())));
    }
    text
}

fn in_gib(bytes: &str) -> String {
    let tenths = bytes.parse::<u64>().unwrap_or_default().saturating_mul(10) / (1 << 30);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

/// The string, number or word at a path of names and positions; `None` where there is none or the document is no JSON.
pub(super) fn lookup(document: &str, path: &[&str]) -> Option<String> {
    bootstrapd_core::json::check(document.as_bytes()).ok()?;
    find(document, path).and_then(|(_, token)| scalar(token))
}

/// The first token of what is at a path, and the reader behind it.
pub(super) fn find<'a>(document: &'a str, path: &[&str]) -> Option<(Reader<'a>, Token<'a>)> {
    let mut reader = Reader::new(document.as_bytes()).ok()?;
    let mut token = reader.token().ok()??;
    for step in path {
        match token {
            Token::ObjectStart => loop {
                let Token::Name(name) = reader.token().ok()?? else { return None };
                if name.is(step) {
                    break;
                }
                reader.skip_value().ok()?;
            },
            Token::ArrayStart => {
                for _ in 0..step.parse::<usize>().ok()? {
                    // The end of the array is no value: what follows it is not looked at.
                    let depth = reader.depth();
                    reader.skip_value().ok()?;
                    if reader.depth() < depth {
                        return None;
                    }
                }
            }
            Token::ObjectEnd
            | Token::ArrayEnd
            | Token::Name(_)
            | Token::Text(_)
            | Token::Number(_)
            | Token::Bool(_)
            | Token::Null => return None,
        }
        token = reader.token().ok()??;
    }
    Some((reader, token))
}

fn scalar(token: Token<'_>) -> Option<String> {
    match token {
        Token::Text(text) => Some(text.chars().collect()),
        Token::Number(number) => Some(number.to_owned()),
        Token::Bool(value) => Some(value.to_string()),
        Token::Name(_) | Token::Null | Token::ObjectStart | Token::ObjectEnd | Token::ArrayStart | Token::ArrayEnd => {
            None
        }
    }
}
