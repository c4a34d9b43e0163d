create index on visits (at);
