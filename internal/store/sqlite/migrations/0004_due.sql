-- +goose Up
-- PostgreSQL has an index here, by which each node finds what is due soon. One server on SQLite remembers it by itself.
SELECT 1;
