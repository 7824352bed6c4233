//! A password of Kafka's that is replaced while everything runs.

use loadtest::run::{Run, RunSettings};
use loadtest::stack::Stack;
use messagebus::KafkaArgs;

use crate::support::{PATIENCE, on_shared_threads, produce_to, start_run, zones};

#[test]
fn a_new_password_is_taken_up_and_nothing_is_lost() {
    on_shared_threads(async {
        let mut stack = Stack::start("crawler-hints.").await.unwrap();
        let kafka = stack.kafka().clone();
        // All are one user, whose password's file is that of whoever looks into the stack.
        let (user, password) = (
            kafka.kafka_sasl_username.clone(),
            kafka.kafka_sasl_password_file.clone(),
        );
        let settings = RunSettings {
            ingestors: 2,
            flippers: 2,
            settings: vec![
                ("KAFKA_SASL_USERNAME".to_owned(), user.unwrap()),
                (
                    "KAFKA_SASL_PASSWORD_FILE".to_owned(),
                    password.unwrap().path.display().to_string(),
                ),
            ],
            ..RunSettings::default()
        };
        let mut run = start_run(&kafka, &stack.clusters, &zones(), settings).await;
        // Who produces needs no password.
        let open = KafkaArgs::plaintext(stack.broker().open_address().to_string(), &kafka.topic_prefix);
        let producing = produce_to(&open, 33, 500, 20_000);
        let are_told = async |run: &Run| Ok(run.partners.status("north").urls > 500);
        run.wait_until("partners are told", PATIENCE, are_told)
            .await
            .unwrap();
        stack.broker_mut().kill().await.unwrap();
        stack.broker().replace_password("another").unwrap();
        stack.broker_mut().restart().await.unwrap();
        producing.await.unwrap();
        run.settle(&stack.clusters, PATIENCE).await.unwrap();
        let report = run.audit().await.unwrap();
        assert!(report.balances(), "{report}\nlogs: {}", run.keep().display());
        run.stop().await.unwrap();
    });
}
