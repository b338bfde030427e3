//! A process whose sealing key is not the one of the store: it is told so, requests go on if they can, and nothing is lost.

use std::cell::RefCell;
use std::rc::Rc;

use keyfob::source::OnStoreOutage;
use keyfob::store::{FileStore, SealingKey, SealingKeys};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tracing::Level;

use crate::captured_log::listening;
use crate::fixtures::{Process, Rotating, SECOND, token};

fn sealed(directory: &TempDir, key: u8) -> FileStore {
    let keys = SealingKeys::new(SealingKey::from_bytes([key; 32]));
    FileStore::new(directory.path().join("keyfob")).sealed(keys)
}

#[test]
fn a_wrong_sealing_key_is_an_error_in_the_log_and_the_entry_stays() {
    let errors = Rc::new(RefCell::new(0));
    let counted = Rc::clone(&errors);
    let count = move |level| *counted.borrow_mut() += u32::from(level == Level::ERROR);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    listening(count, || {
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let first = Process::repeatable(sealed(&directory, 1));
            first.get_with_response(token(1)).await.unwrap();
            assert_eq!(*errors.borrow(), 0);
            let wrong = Process::repeatable(sealed(&directory, 2));
            assert_eq!(wrong.get_with_response(token(2)).await.unwrap(), "token-2");
            assert_eq!(*errors.borrow(), 1);
            // It looks again, and the same error is not logged again.
            wrong.clock.advance(SECOND * 11);
            assert_eq!(wrong.get().await.unwrap(), "token-2");
            assert_eq!(*errors.borrow(), 1);
            let right = Process::repeatable(sealed(&directory, 1));
            assert_eq!(right.get().await.unwrap(), "token-1");
            assert_eq!((right.source.calls(), wrong.source.calls()), (0, 1));
        });
    });
}

#[tokio::test]
async fn t9_with_a_wrong_sealing_key_no_refresh_token_is_exchanged() {
    let directory = tempfile::tempdir().unwrap();
    let first = Process::rotating(sealed(&directory, 1));
    first.get_with_response(token(1)).await.unwrap();
    let rotating = Process::over(sealed(&directory, 2), Rotating, |source| source);
    let strict = |source: keyfob::source::Persisted| source.on_store_outage(OnStoreOutage::Fail);
    let strict = Process::over(sealed(&directory, 2), |source| source, strict);
    for process in [rotating, strict] {
        let error = process.get().await.unwrap_err().to_string();
        assert!(
            error.contains("sealed with a key that was not given"),
            "{error}"
        );
        assert_eq!(process.source.calls(), 0);
    }
    let right = Process::rotating(sealed(&directory, 1));
    assert_eq!(right.get().await.unwrap(), "token-1");
}
