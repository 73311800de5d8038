-- One sale in one transaction, with the rows that the engine writes for it, in one round trip.
-- bench/counter.py loads it and has pgbench call it: the most that one sale per transaction gets.
CREATE OR REPLACE FUNCTION bench_sale(first int, second int, who int, the_key text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  day date := current_date;
  customer uuid;
  subject uuid := gen_random_uuid();
  receipt bigint;
  entry bigint;
  event bigint;
  price_1 bigint;
  price_2 bigint;
  stock_of products;
  net bigint;
  paid bigint;
  given bigint;
  item int;
BEGIN
  SELECT id INTO customer FROM customers WHERE email_folded = 'buyer' || who || '@example.org';
  FOR stock_of IN
    SELECT * FROM products WHERE id IN (first, second) ORDER BY id FOR NO KEY UPDATE
  LOOP
    UPDATE products SET stock = stock - 1 WHERE id = stock_of.id;
    IF stock_of.id = least(first, second) THEN price_1 := stock_of.price_minor;
    ELSE price_2 := stock_of.price_minor; END IF;
  END LOOP;
  net := price_1 + price_2;
  paid := 10000;
  given := paid - net;
  UPDATE drawers SET purchases_count = purchases_count + 1, purchase_hash = repeat('a', 64)
    WHERE number = 1 RETURNING purchases_count INTO receipt;
  UPDATE denominations SET count = count + 1 WHERE drawer_number = 1 AND value_minor = 10000;
  UPDATE denominations SET count = count - 1 WHERE drawer_number = 1 AND value_minor = 5000;
  UPDATE denominations SET count = count - 1 WHERE drawer_number = 1 AND value_minor = 1000;
  INSERT INTO purchases VALUES (receipt, subject, customer, 'buyer' || who || '@example.org',
    'USD', net, 0, 0, net, paid, '10000x1', '5000x1 1000x1', 'none', 1, day, now(), NULL, false,
    NULL, repeat('b', 64));
  INSERT INTO purchase_items VALUES
    (receipt, 1, first, 'a product of the bench', NULL, 1, price_1, 0, false, price_1, 0),
    (receipt, 2, second, 'a product of the bench', NULL, 1, price_2, 0, false, price_2, 0);
  UPDATE chain_heads SET event_seq = event_seq + 1, entry_seq = entry_seq + 1,
    event_hash = repeat('c', 64), entry_hash = repeat('d', 64)
    WHERE name = 'book' RETURNING event_seq, entry_seq INTO event, entry;
  INSERT INTO postings VALUES
    (entry, 1, 1, paid, customer, subject), (entry, 2, 1, -given, customer, subject),
    (entry, 3, 3, -net, customer, subject);
  INSERT INTO entries VALUES (entry, 'retail.purchase', day, now(), 3, NULL, repeat('d', 64));
  INSERT INTO balances VALUES (1, day, paid, given), (3, day, 0, net)
    ON CONFLICT (account_id, effective_on) DO UPDATE SET
      debit_minor = balances.debit_minor + excluded.debit_minor,
      credit_minor = balances.credit_minor + excluded.credit_minor;
  INSERT INTO events VALUES (event, 'retail.purchase.recorded', subject, customer, now(),
    repeat('e', 170), repeat('c', 64));
  INSERT INTO commands VALUES (the_key || receipt, 'retail.record_purchase', repeat('f', 64), 201,
    repeat('g', 1000), now(), now());
END $$;
