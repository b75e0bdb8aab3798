//! Who goes, who waits and who is sent away.

use super::*;
use Rank::{Anonymous, Owner, Subscriber};

fn line<T>(places: usize, waiting: usize) -> Line<T> {
    Line::new(Room {
        places,
        spare: 0,
        waiting,
    })
}

#[test]
fn the_lowest_are_sent_away_first_and_the_highest_go_first() {
    let mut line = line(1, 3);
    assert_eq!(line.arrive(Anonymous, 1), Arrival::Goes(1));
    for n in 2..=4 {
        assert_eq!(line.arrive(Anonymous, n), Arrival::Waits);
    }
    assert_eq!(line.arrive(Anonymous, 5), Arrival::Refused(5));
    assert_eq!(
        line.arrive(Subscriber, 6),
        Arrival::Sheds(4),
        "the last that came"
    );
    assert_eq!(line.arrive(Owner, 7), Arrival::Sheds(3));
    assert_eq!(line.arrive(Owner, 8), Arrival::Sheds(2));
    assert_eq!(
        line.arrive(Subscriber, 9),
        Arrival::Refused(9),
        "no lower one waits"
    );
    assert_eq!(
        line.arrive(Owner, 10),
        Arrival::Sheds(6),
        "then the subscribers"
    );
    assert_eq!(
        line.arrive(Owner, 11),
        Arrival::Refused(11),
        "owners only among owners"
    );
    let gone: Vec<_> = std::iter::from_fn(|| line.leave()).collect();
    assert_eq!(gone, [7, 8, 10]);
    assert_eq!((line.working(), line.waiting()), (0, 0));
    assert_eq!(line.leave(), None);
    assert_eq!(line.working(), 0);
}

#[test]
fn nobody_waits_while_a_place_is_free_and_the_bounds_hold() {
    let mut line = line(4, 7);
    let (mut seed, mut working) = (12_345_u32, 0);
    for n in 0..100_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let rank = Rank::ALL[(seed >> 24) as usize % 3];
        if (seed >> 16) & 1 == 0 {
            let refuses = line.refuses(rank);
            let arrival = line.arrive(rank, n);
            assert_eq!(refuses, matches!(arrival, Arrival::Refused(_)));
            working += u32::from(matches!(arrival, Arrival::Goes(_)));
        } else if working > 0 {
            working -= u32::from(line.leave().is_none());
        }
        assert_eq!(usize::try_from(working).unwrap(), line.working());
        assert!(line.working() <= 4 && line.waiting() <= 7);
        assert!(line.waiting() == 0 || line.working() == 4);
    }
}

#[test]
fn owners_have_a_place_beside_others_and_no_more_than_that() {
    let mut line = Line::new(Room {
        places: 1,
        spare: 1,
        waiting: 9,
    });
    assert_eq!(line.arrive(Subscriber, 1), Arrival::Goes(1));
    assert_eq!(line.arrive(Subscriber, 2), Arrival::Waits);
    assert_eq!(line.arrive(Owner, 3), Arrival::Goes(3), "beside the first");
    assert_eq!(line.arrive(Owner, 4), Arrival::Waits);
    assert_eq!(line.working(), 2);
    assert_eq!(line.leave(), Some(4), "owners first");
    assert_eq!(line.leave(), None, "the place is an owner's");
    assert_eq!(line.leave(), Some(2));
    assert_eq!((line.working(), line.waiting()), (1, 0));
    // Others have no use of it, and owners do not wait behind them.
    assert_eq!(line.arrive(Anonymous, 5), Arrival::Waits);
    assert_eq!(line.set_places(2), [5]);
    assert_eq!(line.arrive(Owner, 6), Arrival::Goes(6));
    assert_eq!(line.working(), 3);
}

#[test]
fn places_come_and_go_and_nobody_is_broken_off() {
    let mut line = line(1, 9);
    assert_eq!(line.arrive(Subscriber, 0), Arrival::Goes(0));
    for n in 1..=4 {
        assert_eq!(line.arrive(Subscriber, n), Arrival::Waits);
    }
    assert_eq!(line.arrive(Owner, 5), Arrival::Waits);
    assert_eq!(line.set_places(3), [5, 1], "owners first");
    assert_eq!((line.working(), line.waiting()), (3, 3));
    assert_eq!(line.set_places(1), [0; 0]);
    assert_eq!((line.leave(), line.leave()), (None, None));
    assert_eq!(line.working(), 1);
    assert_eq!(line.leave(), Some(2), "as many as there are places");
    line.set_room(1);
    assert_eq!(line.waiting(), 2, "who waits stays");
    assert_eq!(line.arrive(Subscriber, 6), Arrival::Refused(6));
    assert_eq!(line.set_places(9), [3, 4]);
    assert_eq!(line.working(), 3);
}

#[tokio::test]
async fn a_seat_is_given_back_once_and_to_the_next() {
    let queue = queue(1, 8, 60_000);
    let seat = Seat::of(queue.enter(Owner).await.unwrap_or_else(|_| panic!("free")));
    let other = queue.clone();
    let next = tokio::spawn(async move { other.enter(Subscriber).await.map(Seat::of) });
    while queue.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let shared = seat.clone();
    shared.leave();
    let next = next.await.unwrap().unwrap_or_else(|_| panic!("a place"));
    seat.leave();
    assert_eq!(queue.working(), 1, "the place is the next one's");
    drop(next);
    assert_eq!(queue.working(), 0);
}

#[test]
fn in_a_queue_that_stands_others_than_owners_are_sent_away_early() {
    let mut held = Held {
        line: line(1, 8),
        number: 0,
        patience: Duration::from_millis(400),
        stands: None,
    };
    let begun = Instant::now();
    let after = |ms| begun + Duration::from_millis(ms);
    let arrives = |held: &mut Held, number, ms| {
        let (turn, _) = oneshot::channel();
        held.line.arrive(Subscriber, Ticket { number, turn });
        held.look(after(ms));
    };
    let patience =
        |held: &Held, ms| Rank::ALL.map(|rank| held.patience(rank, after(ms)).as_millis());
    arrives(&mut held, 1, 0);
    assert_eq!(held.stands, None, "it has a place");
    arrives(&mut held, 2, 100);
    arrives(&mut held, 3, 300);
    assert_eq!(patience(&held, 499), [400; 3], "a burst");
    assert_eq!(patience(&held, 500), [400, 50, 50], "it does not end");
    held.line.leave();
    held.look(after(600));
    assert_eq!(patience(&held, 600), [400, 50, 50], "one still waits");
    held.line.leave();
    held.look(after(700));
    assert_eq!(patience(&held, 5000), [400; 3], "nobody waits");
    arrives(&mut held, 4, 5000);
    assert_eq!(patience(&held, 5100), [400; 3], "another burst");
}

fn queue(places: usize, waiting: usize, patience: u64) -> Queue {
    let patience = Duration::from_millis(patience);
    Queue::new(places, waiting, patience, Telemetry::default())
}

#[tokio::test]
async fn a_waiter_that_goes_away_leaves_its_room_and_no_place_is_lost() {
    let queue = queue(1, 1, 60_000);
    let first = queue.enter(Owner).await.unwrap_or_else(|_| panic!("free"));
    for _ in 0..50 {
        let waits = queue.enter(Anonymous);
        let gone = tokio::time::timeout(Duration::from_millis(1), waits).await;
        assert!(gone.is_err());
        assert_eq!(queue.waiting(), 0);
    }
    let (other, turn) = (queue.clone(), tokio::sync::Notify::new());
    let second = async {
        turn.notify_one();
        other.enter(Subscriber).await.is_ok()
    };
    let release = async {
        turn.notified().await;
        drop(first);
    };
    let (entered, ()) = tokio::join!(second, release);
    assert!(entered);
    assert_eq!((queue.working(), queue.waiting()), (0, 0));
}

#[tokio::test]
async fn who_waits_too_long_is_sent_away() {
    let queue = queue(1, 8, 20);
    let _first = queue.enter(Owner).await.unwrap_or_else(|_| panic!("free"));
    assert_eq!(queue.enter(Owner).await.err(), Some(Full::Patience));
    let telemetry = &queue.inner.telemetry;
    let labels = [("queue", "owner")];
    assert_eq!(telemetry.value("assay_requests_queued", &labels), Some(0.0));
    let name = "assay_request_queue_duration_seconds";
    assert_eq!(telemetry.observations(name, &labels), 2);
}
