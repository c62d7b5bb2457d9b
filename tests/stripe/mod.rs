//! The Stripe provider on a replica of Stripe.

mod accounts;
mod downgrades;
mod faults;
mod features;
mod given_up;
mod kinds;
mod limits;
mod modes;
mod prices;
mod repeats;
mod runs;
mod subscriptions;
