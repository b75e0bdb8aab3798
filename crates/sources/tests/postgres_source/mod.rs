mod changes;
mod first_look;
mod keys;
mod same;
mod sessions;
mod table;
