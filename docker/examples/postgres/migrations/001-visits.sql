create table visits (
    number bigint generated always as identity primary key,
    at timestamptz not null default now()
);
