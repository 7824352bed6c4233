//! A payload of `batches`, `undeliverable` or `receipts`.

use hint_schema::{HintBatch, Receipt, Undeliverable};

/// Kafka's own limit on a message, and the most that is parsed.
const MAX_PAYLOAD_BYTES: usize = 1_048_576;

/// What decodes is encoded to the same, in the bytes that were foretold; a small payload makes no large batch.
pub fn check(payload: &[u8]) {
    if let Ok(batch) = HintBatch::decode(payload) {
        let entries = batch.hosts.len() + batch.url_count();
        assert!(entries <= 8 * payload.len().div_ceil(8), "{entries} entries");
        let (foretold, encoded) = (batch.encoded_bytes(), batch.encode());
        assert!(
            encoded.len() <= foretold,
            "{} bytes, {foretold} foretold",
            encoded.len()
        );
        if encoded.len() <= MAX_PAYLOAD_BYTES {
            assert_eq!(
                HintBatch::decode(&encoded).expect("what was encoded decodes"),
                batch
            );
        }
    }
    if let Ok(record) = Undeliverable::decode(payload) {
        let encoded = record.encode();
        if encoded.len() <= MAX_PAYLOAD_BYTES {
            assert_eq!(
                Undeliverable::decode(&encoded).expect("what was encoded decodes"),
                record
            );
        }
    }
    if let Ok(receipt) = Receipt::decode(payload) {
        let encoded = receipt.encode();
        assert_eq!(
            Receipt::decode(&encoded).expect("what was encoded decodes"),
            receipt
        );
    }
}
