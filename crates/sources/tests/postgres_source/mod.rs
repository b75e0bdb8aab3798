mod changes;
mod keys;
mod same;
mod sessions;
mod table;
