//! Gives the services their rights in Kafka: the list that a deployment ships, through Kafka's own protocol.
//!
//! librdkafka's Rust binding does not know ACLs, and Kafka's tool takes a second a line.

use std::net::SocketAddr;

use anyhow::Context;
use messagebus::KafkaArgs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is shipped.
const ACLS: &str = include_str!("../../../k8s/kafka/acls");

/// `CreateAcls` and its last version without tagged fields: <https://kafka.apache.org/protocol#The_Messages_CreateAcls>.
const CREATE_ACLS: i16 = 30;
const VERSION: i16 = 1;

/// A line of the list.
#[derive(Debug, PartialEq, Eq)]
struct Acl {
    principal: String,
    operation: i8,
    resource_type: i8,
    resource: String,
    /// 3 for exactly this name, 4 for every name that begins with it.
    pattern: i8,
}

/// Grants the list, with the names under the prefix of `kafka`. `broker` is a listener that needs no log-in and
/// lets everything pass.
///
/// # Errors
/// The broker does not answer or refuses.
pub(super) async fn grant(broker: SocketAddr, kafka: &KafkaArgs) -> anyhow::Result<()> {
    let acls = parse(ACLS, kafka)?;
    let mut stream = TcpStream::connect(broker)
        .await
        .with_context(|| format!("connecting to Kafka at {broker}"))?;
    stream
        .write_all(&request(&acls)?)
        .await
        .context("granting rights")?;
    let length = stream.read_u32().await.context("granting rights")?;
    let mut answer = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut answer).await.context("granting rights")?;
    check(&answer, acls.len()).await
}

fn parse(list: &str, kafka: &KafkaArgs) -> anyhow::Result<Vec<Acl>> {
    let lines = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| parse_line(line, kafka).with_context(|| format!("in k8s/kafka/acls: {line}")))
        .collect()
}

fn parse_line(line: &str, kafka: &KafkaArgs) -> anyhow::Result<Acl> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [principal, operation, resource_type, name] = *words.as_slice() else {
        anyhow::bail!("expected a principal, an operation, a type and a name");
    };
    let (exact, pattern) = match name.strip_suffix('*') {
        Some(prefix) => (prefix, 4),
        None => (name, 3),
    };
    let (resource_type, resource) = match resource_type {
        "topic" => {
            let own = exact
                .strip_prefix("crawler-hints.")
                .context("expected crawler-hints.")?;
            (2, format!("{}{own}", kafka.topic_prefix))
        }
        "group" => {
            let own = exact
                .strip_prefix("crawler-hints-")
                .context("expected crawler-hints-")?;
            (3, kafka.topics().group(own))
        }
        _ => anyhow::bail!("expected topic or group"),
    };
    let operation = match operation {
        "read" => 3,
        "write" => 4,
        "describe" => 8,
        _ => anyhow::bail!("expected read, write or describe"),
    };
    Ok(Acl {
        principal: principal.to_owned(),
        operation,
        resource_type,
        resource,
        pattern,
    })
}

fn request(acls: &[Acl]) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    body.extend(CREATE_ACLS.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    body.extend(1_i32.to_be_bytes()); // the request's number
    put_text(&mut body, "loadtest")?;
    body.extend(i32::try_from(acls.len())?.to_be_bytes());
    for acl in acls {
        body.extend(acl.resource_type.to_be_bytes());
        put_text(&mut body, &acl.resource)?;
        body.extend(acl.pattern.to_be_bytes());
        put_text(&mut body, &acl.principal)?;
        put_text(&mut body, "*")?; // from every address
        body.extend(acl.operation.to_be_bytes());
        body.extend(3_i8.to_be_bytes()); // allow
    }
    let mut framed = i32::try_from(body.len())?.to_be_bytes().to_vec();
    framed.append(&mut body);
    Ok(framed)
}

fn put_text(body: &mut Vec<u8>, text: &str) -> anyhow::Result<()> {
    body.extend(i16::try_from(text.len())?.to_be_bytes());
    body.extend(text.as_bytes());
    Ok(())
}

/// The first right that was not granted is an error.
async fn check(mut answer: &[u8], count: usize) -> anyhow::Result<()> {
    let _number = answer.read_i32().await?;
    let _throttled_ms = answer.read_i32().await?;
    let answers = answer.read_i32().await?;
    anyhow::ensure!(
        usize::try_from(answers)? == count,
        "Kafka answers {answers} of {count}"
    );
    for number in 1..=answers {
        let code = answer.read_i16().await?;
        let length = answer.read_i16().await?;
        let mut words = vec![0; usize::try_from(length.max(0))?];
        answer.read_exact(&mut words).await?;
        let words = String::from_utf8_lossy(&words);
        anyhow::ensure!(
            code == 0,
            "Kafka does not grant right {number}: error {code}, {words}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_that_is_shipped_names_topics_and_groups_under_any_prefix() {
        let acls = parse(ACLS, &KafkaArgs::plaintext("", "eu.t1.")).unwrap();
        let acl = |principal: &str, operation, resource_type, resource: &str, pattern| Acl {
            principal: principal.to_owned(),
            operation,
            resource_type,
            resource: resource.to_owned(),
            pattern,
        };
        assert!(acls.contains(&acl("User:ingestor", 3, 2, "eu.t1.cache-misses", 3)));
        assert!(acls.contains(&acl("User:dispatcher", 3, 3, "eu.t1-dispatcher-", 4)));
        assert!(acls.contains(&acl("User:auditor", 8, 3, "eu.t1-", 4)));
    }

    #[test]
    fn a_line_that_says_something_else_is_refused() {
        let kafka = KafkaArgs::plaintext("", "x.");
        for line in [
            "User:a read topic",
            "User:a all topic crawler-hints.x",
            "User:a read topic y.x",
        ] {
            assert!(parse(line, &kafka).is_err(), "{line}");
        }
    }
}
