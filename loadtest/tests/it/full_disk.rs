//! A disk that is full for logs must not stop a service.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use loadtest::ports;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_service_whose_log_cannot_be_written_works_on() {
    let this = std::env::current_exe().unwrap();
    let admin = ports::free().unwrap();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    // Nothing that it needs is there: it has much to say.
    let mut service = Command::new(this.ancestors().nth(2).unwrap().join("ingestor"))
        .env_clear()
        .env("REDIS_A", "redis://127.0.0.1:1")
        .env("REDIS_B", "redis://127.0.0.1:2")
        .env("KAFKA_BROKERS", "127.0.0.1:3")
        .env("ADMIN_ADDR", admin.to_string())
        .env("RUST_LOG", "debug")
        .stdout(full())
        .stderr(full())
        .spawn()
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let url = format!("http://{admin}/metrics");
    let said = |text: &str| {
        let errors = text
            .lines()
            .filter(|line| line.starts_with("crawlerhints_kafka_consumer_errors_total"));
        let counts = errors.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        counts.sum::<f64>() > 1.0
    };
    loop {
        assert_eq!(
            service.try_wait().unwrap(),
            None,
            "it ended because a log line was not written"
        );
        let answer = runtime.block_on(async { reqwest::get(&url).await.ok()?.text().await.ok() });
        // Each error was logged as well.
        if answer.is_some_and(|text| said(&text)) {
            break;
        }
        assert!(Instant::now() < deadline, "it never had anything to say");
        std::thread::yield_now();
    }
    service.kill().unwrap();
    service.wait().unwrap();
}
