//! Kafka's own settings.

use std::net::SocketAddr;
use std::path::Path;

use super::certificates::Authority;
use super::users::{OPERATOR, Passwords};

/// Where the broker listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listeners {
    /// For everybody.
    pub(super) open: SocketAddr,
    /// For whoever logs in.
    pub(super) guarded: SocketAddr,
    /// The same behind a proxy, and the proxy.
    pub(super) proxied: [SocketAddr; 2],
    /// For whoever shows a certificate, behind a proxy, and the proxy.
    pub(super) encrypted: [SocketAddr; 2],
    pub(super) controller: SocketAddr,
}

/// # Errors
/// The server's certificate cannot be read.
pub(super) fn server_properties(
    listeners: Listeners,
    authority: &Authority,
    dir: &Path,
) -> anyhow::Result<String> {
    let Listeners {
        open,
        guarded,
        proxied: [proxied, proxy],
        encrypted: [encrypted, encrypted_proxy],
        controller,
    } = listeners;
    let [truststore, keystore] = authority.stores()?;
    Ok(format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
listeners=PLAINTEXT://{open},SASL_PLAINTEXT://{guarded},PROXIED://{proxied},ENCRYPTED://{encrypted},\
CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{open},SASL_PLAINTEXT://{guarded},PROXIED://{proxy},ENCRYPTED://{encrypted_proxy}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,\
PROXIED:SASL_PLAINTEXT,ENCRYPTED:SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{OPERATOR}
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config={jaas}
listener.name.proxied.plain.sasl.jaas.config={jaas}
listener.name.encrypted.ssl.client.auth=required
listener.name.encrypted.ssl.keystore.type=PEM
listener.name.encrypted.ssl.keystore.location={keystore}
listener.name.encrypted.ssl.truststore.type=PEM
listener.name.encrypted.ssl.truststore.location={truststore}
listener.name.encrypted.ssl.principal.mapping.rules=RULE:^CN=(.*)$/$1/
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
",
        data = dir.join("data").display(),
        jaas = Passwords::jaas(),
        keystore = keystore.display(),
        truststore = truststore.display(),
    ))
}
