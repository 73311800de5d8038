CREATE TABLE accounts (
	id INTEGER NOT NULL, 
	book VARCHAR(64) NOT NULL, 
	name VARCHAR(128) NOT NULL, 
	currency CHAR(3) NOT NULL, 
	CONSTRAINT accounts_pkey PRIMARY KEY (id), 
	CONSTRAINT accounts_book_name_unique UNIQUE (book, name, currency)
);
CREATE TABLE advances (
	id CHAR(32) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	bank_account_id CHAR(32) NOT NULL, 
	amount_minor BIGINT NOT NULL, 
	fee_minor BIGINT NOT NULL, 
	currency CHAR(3) NOT NULL, 
	installments_count INTEGER NOT NULL, 
	interval_days INTEGER NOT NULL, 
	effective_on DATE NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	payout VARCHAR(16) NOT NULL, 
	is_fee_booked BOOLEAN NOT NULL, 
	credited_minor BIGINT NOT NULL, 
	applied_minor BIGINT NOT NULL, 
	written_off_minor BIGINT NOT NULL, 
	written_off_at_minor BIGINT NOT NULL, 
	credit_transfer_id CHAR(32) NOT NULL, 
	created_at VARCHAR(27) NOT NULL, 
	CONSTRAINT advances_pkey PRIMARY KEY (id), 
	CONSTRAINT advances_amount_minor_positive CHECK (amount_minor > 0), 
	CONSTRAINT advances_applied_minor_positive CHECK (applied_minor >= 0), 
	CONSTRAINT advances_credited_minor_positive CHECK (credited_minor >= 0), 
	CONSTRAINT advances_fee_minor_positive CHECK (fee_minor >= 0), 
	CONSTRAINT advances_payout_known CHECK (payout IN ('none', 'in_transit', 'paid', 'void')), 
	CONSTRAINT advances_status_known CHECK (status IN ('pending', 'active', 'completed', 'failed', 'in_default', 'cancelled', 'written_off')), 
	CONSTRAINT advances_written_off_minor_positive CHECK (written_off_minor >= 0), 
	CONSTRAINT advances_bank_account_id_fkey FOREIGN KEY(bank_account_id) REFERENCES bank_accounts (id), 
	CONSTRAINT advances_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0009');
CREATE TABLE api_keys (
	id CHAR(32) NOT NULL, 
	client_id CHAR(32) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	scope VARCHAR(8) NOT NULL, 
	hint VARCHAR(16) NOT NULL, 
	key_hash CHAR(64) NOT NULL, 
	created_at VARCHAR(27) NOT NULL, 
	expires_at VARCHAR(27), 
	revoked_at VARCHAR(27), 
	last_used_at VARCHAR(27), 
	CONSTRAINT api_keys_pkey PRIMARY KEY (id), 
	CONSTRAINT api_keys_api_keys_scope_known CHECK (scope IN ('read', 'operate', 'money')), 
	CONSTRAINT api_keys_key_hash_unique UNIQUE (key_hash)
);
CREATE TABLE balances (
	account_id INTEGER NOT NULL, 
	effective_on DATE NOT NULL, 
	debit_minor BIGINT NOT NULL, 
	credit_minor BIGINT NOT NULL, 
	CONSTRAINT balances_pkey PRIMARY KEY (account_id, effective_on), 
	CONSTRAINT balances_credit_minor_positive CHECK (credit_minor >= 0), 
	CONSTRAINT balances_debit_minor_positive CHECK (debit_minor >= 0), 
	CONSTRAINT balances_account_id_fkey FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE bank_accounts (
	id CHAR(32) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	number_hash CHAR(64) NOT NULL, 
	number_sealed BLOB NOT NULL, 
	last4 VARCHAR(4) NOT NULL, 
	created_at VARCHAR(27) NOT NULL, 
	CONSTRAINT bank_accounts_pkey PRIMARY KEY (id), 
	CONSTRAINT bank_accounts_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id), 
	CONSTRAINT bank_accounts_number_hash_unique UNIQUE (number_hash)
);
CREATE TABLE bill_accounts (
	id CHAR(32) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	type VARCHAR(16) NOT NULL, 
	issuer VARCHAR(200), 
	number VARCHAR(64), 
	anchor CHAR(32) NOT NULL, 
	cycle_days INTEGER, 
	generation_day SMALLINT, 
	due_day SMALLINT, 
	merged_into CHAR(32), 
	created_at VARCHAR(27) NOT NULL, 
	CONSTRAINT bill_accounts_pkey PRIMARY KEY (id), 
	CONSTRAINT bill_accounts_bill_accounts_type_known CHECK (type IN ('MOBILE_BILL', 'ELECTRIC_BILL', 'GAS_BILL', 'LOAN', 'CREDITCARD')), 
	CONSTRAINT bill_accounts_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id)
);
CREATE TABLE bill_facts (
	message_id CHAR(32) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	hash CHAR(64) NOT NULL, 
	on_day DATE NOT NULL, 
	folds BOOLEAN NOT NULL, 
	is_movement BOOLEAN NOT NULL, 
	kind VARCHAR(24), 
	bill_type VARCHAR(16), 
	issuer VARCHAR(200), 
	number VARCHAR(64), 
	amount_minor BIGINT, 
	minimum_minor BIGINT, 
	currency CHAR(3), 
	bill_on DATE, 
	due_on DATE, 
	paid_on DATE, 
	reference VARCHAR(64), 
	paid_from VARCHAR(64), 
	status VARCHAR(16) NOT NULL, 
	account_id CHAR(32), 
	bill_id CHAR(32), 
	transaction_id CHAR(32), 
	why TEXT NOT NULL, 
	CONSTRAINT bill_facts_pkey PRIMARY KEY (message_id), 
	CONSTRAINT bill_facts_bill_facts_bill_type_known CHECK (bill_type IN ('MOBILE_BILL', 'ELECTRIC_BILL', 'GAS_BILL', 'LOAN', 'CREDITCARD')), 
	CONSTRAINT bill_facts_bill_facts_kind_known CHECK (kind IN ('BILL_GENERATION', 'BILL_INFORMATION', 'BILL_CONFIRMATION', 'BILL_TXN_CONFIRMATION', 'BILL_IMMEDIATE', 'BILL_DUE_TODAY')), 
	CONSTRAINT bill_facts_bill_facts_status_known CHECK (status IN ('recorded', 'applied', 'information', 'unmatched', 'review', 'duplicate', 'otp_dropped')), 
	CONSTRAINT bill_facts_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id), 
	CONSTRAINT bill_facts_message_id_fkey FOREIGN KEY(message_id) REFERENCES bill_messages (id)
);
CREATE TABLE bill_links (
	id CHAR(32) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	transaction_id CHAR(32) NOT NULL, 
	bill_anchor CHAR(32), 
	at VARCHAR(27) NOT NULL, 
	CONSTRAINT bill_links_pkey PRIMARY KEY (id), 
	CONSTRAINT bill_links_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id), 
	CONSTRAINT bill_links_transaction_id_fkey FOREIGN KEY(transaction_id) REFERENCES bill_transactions (id)
);
CREATE TABLE bill_messages (
	id CHAR(32) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	identity CHAR(64) NOT NULL, 
	sender VARCHAR(64), 
	body TEXT, 
	body_hash CHAR(64) NOT NULL, 
	sent_at VARCHAR(27), 
	received_at VARCHAR(27) NOT NULL, 
	source_id VARCHAR(128), 
	rule VARCHAR(128), 
	reading TEXT NOT NULL, 
	recorded_at VARCHAR(27) NOT NULL, 
	CONSTRAINT bill_messages_pkey PRIMARY KEY (id), 
	CONSTRAINT bill_messages_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id), 
	CONSTRAINT bill_messages_identity_unique UNIQUE (identity)
);
CREATE TABLE bill_resolutions (
	id CHAR(32) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	message_id CHAR(32) NOT NULL, 
	action VARCHAR(16) NOT NULL, 
	reason VARCHAR(500) NOT NULL, 
	reading TEXT NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	CONSTRAINT bill_resolutions_pkey PRIMARY KEY (id), 
	CONSTRAINT bill_resolutions_bill_resolutions_action_known CHECK (action IN ('correct', 'dismiss')), 
	CONSTRAINT bill_resolutions_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id), 
	CONSTRAINT bill_resolutions_message_id_fkey FOREIGN KEY(message_id) REFERENCES bill_messages (id)
);
CREATE TABLE bill_transactions (
	id CHAR(32) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	message_id CHAR(32), 
	at VARCHAR(27) NOT NULL, 
	hash CHAR(64) NOT NULL, 
	on_day DATE NOT NULL, 
	amount_minor BIGINT NOT NULL, 
	currency CHAR(3) NOT NULL, 
	is_currency_stated BOOLEAN NOT NULL, 
	description VARCHAR(500) NOT NULL, 
	reference VARCHAR(64), 
	number VARCHAR(64), 
	account_id CHAR(32), 
	bill_id CHAR(32), 
	bound TEXT NOT NULL, 
	bound_minor BIGINT NOT NULL, 
	prepaid_minor BIGINT NOT NULL, 
	duplicate_of CHAR(32), 
	evidence TEXT NOT NULL, 
	CONSTRAINT bill_transactions_pkey PRIMARY KEY (id), 
	CONSTRAINT bill_transactions_bill_transactions_amount_minor_not_zero CHECK (amount_minor <> 0), 
	CONSTRAINT bill_transactions_bill_transactions_bound_minor_positive CHECK (bound_minor >= 0), 
	CONSTRAINT bill_transactions_bill_transactions_prepaid_minor_positive CHECK (prepaid_minor >= 0), 
	CONSTRAINT bill_transactions_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id), 
	CONSTRAINT bill_transactions_message_id_fkey FOREIGN KEY(message_id) REFERENCES bill_messages (id), 
	CONSTRAINT bill_transactions_message_id_unique UNIQUE (message_id)
);
CREATE TABLE bills (
	id CHAR(32) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	account_id CHAR(32) NOT NULL, 
	type VARCHAR(16) NOT NULL, 
	anchor CHAR(32) NOT NULL, 
	bill_on DATE, 
	due_on DATE, 
	dated_on DATE NOT NULL, 
	amount_minor BIGINT, 
	minimum_minor BIGINT, 
	currency CHAR(3) NOT NULL, 
	paid_minor BIGINT NOT NULL, 
	paid_on DATE, 
	is_rolled_over BOOLEAN NOT NULL, 
	merged_into CHAR(32), 
	history TEXT NOT NULL, 
	evidence TEXT NOT NULL, 
	CONSTRAINT bills_pkey PRIMARY KEY (id), 
	CONSTRAINT bills_bills_type_known CHECK (type IN ('MOBILE_BILL', 'ELECTRIC_BILL', 'GAS_BILL', 'LOAN', 'CREDITCARD')), 
	CONSTRAINT bills_bills_amount_minor_positive CHECK (amount_minor >= 0), 
	CONSTRAINT bills_bills_paid_minor_positive CHECK (paid_minor >= 0), 
	CONSTRAINT bills_account_id_fkey FOREIGN KEY(account_id) REFERENCES bill_accounts (id), 
	CONSTRAINT bills_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id)
);
CREATE TABLE chain_heads (
	name VARCHAR(16) NOT NULL, 
	event_seq BIGINT NOT NULL, 
	event_hash CHAR(64) NOT NULL, 
	entry_seq BIGINT NOT NULL, 
	entry_hash CHAR(64) NOT NULL, 
	account_seq BIGINT NOT NULL, 
	CONSTRAINT chain_heads_pkey PRIMARY KEY (name)
);
INSERT INTO "chain_heads" VALUES('book',0,'0000000000000000000000000000000000000000000000000000000000000000',0,'0000000000000000000000000000000000000000000000000000000000000000',0);
CREATE TABLE commands (
	"key" VARCHAR(255) NOT NULL, 
	operation VARCHAR(64) NOT NULL, 
	input_hash CHAR(64) NOT NULL, 
	status SMALLINT, 
	body TEXT, 
	recorded_at VARCHAR(27) NOT NULL, 
	completed_at VARCHAR(27), 
	CONSTRAINT commands_pkey PRIMARY KEY ("key")
);
CREATE TABLE customer_credits (
	customer_id CHAR(32) NOT NULL, 
	currency CHAR(3) NOT NULL, 
	credit_minor BIGINT NOT NULL, 
	CONSTRAINT customer_credits_pkey PRIMARY KEY (customer_id, currency), 
	CONSTRAINT customer_credits_credit_minor_positive CHECK (credit_minor >= 0), 
	CONSTRAINT customer_credits_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id)
);
CREATE TABLE customers (
	id CHAR(32) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	email VARCHAR(254) NOT NULL, 
	email_folded VARCHAR(254) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	credit_limit_minor BIGINT, 
	currency CHAR(3) NOT NULL, 
	created_at VARCHAR(27) NOT NULL, 
	CONSTRAINT customers_pkey PRIMARY KEY (id), 
	CONSTRAINT customers_credit_limit_minor_positive CHECK (credit_limit_minor >= 0), 
	CONSTRAINT customers_status_known CHECK (status IN ('active', 'suspended')), 
	CONSTRAINT customers_email_folded_unique UNIQUE (email_folded)
);
CREATE TABLE denominations (
	drawer_number SMALLINT NOT NULL, 
	value_minor BIGINT NOT NULL, 
	count BIGINT NOT NULL, 
	CONSTRAINT denominations_pkey PRIMARY KEY (drawer_number, value_minor), 
	CONSTRAINT denominations_denominations_count_positive CHECK (count >= 0), 
	CONSTRAINT denominations_denominations_value_minor_positive CHECK (value_minor > 0), 
	CONSTRAINT denominations_drawer_number_fkey FOREIGN KEY(drawer_number) REFERENCES drawers (number)
);
CREATE TABLE drawer_movements (
	number BIGINT NOT NULL, 
	subject_id CHAR(32) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	session_number BIGINT, 
	currency CHAR(3) NOT NULL, 
	amount_minor BIGINT NOT NULL, 
	pieces TEXT NOT NULL, 
	uncounted_minor BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	effective_on DATE NOT NULL, 
	recorded_at VARCHAR(27) NOT NULL, 
	CONSTRAINT drawer_movements_pkey PRIMARY KEY (number)
);
CREATE TABLE drawer_sessions (
	number BIGINT NOT NULL, 
	currency CHAR(3) NOT NULL, 
	opened_at VARCHAR(27) NOT NULL, 
	opening_minor BIGINT NOT NULL, 
	closed_at VARCHAR(27), 
	expected_minor BIGINT, 
	counted_minor BIGINT, 
	CONSTRAINT drawer_sessions_pkey PRIMARY KEY (number)
);
CREATE TABLE drawers (
	number SMALLINT NOT NULL, 
	currency CHAR(3) NOT NULL, 
	uncounted_minor BIGINT NOT NULL, 
	products_count INTEGER NOT NULL, 
	purchases_count BIGINT NOT NULL, 
	refunds_count BIGINT NOT NULL, 
	movements_count BIGINT NOT NULL, 
	sessions_count BIGINT NOT NULL, 
	open_session BIGINT, 
	purchase_hash CHAR(64) NOT NULL, 
	refund_hash CHAR(64) NOT NULL, 
	CONSTRAINT drawers_pkey PRIMARY KEY (number), 
	CONSTRAINT drawers_drawers_uncounted_minor_positive CHECK (uncounted_minor >= 0)
);
CREATE TABLE entries (
	seq BIGINT NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	effective_on DATE NOT NULL, 
	recorded_at VARCHAR(27) NOT NULL, 
	postings_count SMALLINT NOT NULL, 
	reverses_seq BIGINT, 
	hash CHAR(64) NOT NULL, 
	CONSTRAINT entries_pkey PRIMARY KEY (seq), 
	CONSTRAINT entries_postings_count_two CHECK (postings_count >= 2), 
	CONSTRAINT entries_reverses_seq_fkey FOREIGN KEY(reverses_seq) REFERENCES entries (seq)
);
CREATE TABLE events (
	seq BIGINT NOT NULL, 
	type VARCHAR(64) NOT NULL, 
	subject_id CHAR(32) NOT NULL, 
	customer_id CHAR(32), 
	occurred_at VARCHAR(27) NOT NULL, 
	body TEXT NOT NULL, 
	hash CHAR(64) NOT NULL, 
	CONSTRAINT events_pkey PRIMARY KEY (seq)
);
CREATE TABLE installments (
	id CHAR(32) NOT NULL, 
	subject_id CHAR(32) NOT NULL, 
	number INTEGER NOT NULL, 
	due_on DATE NOT NULL, 
	amount_minor BIGINT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	replaces INTEGER, 
	attempt SMALLINT NOT NULL, 
	CONSTRAINT installments_pkey PRIMARY KEY (id), 
	CONSTRAINT installments_amount_minor_positive CHECK (amount_minor > 0), 
	CONSTRAINT installments_state_known CHECK (state IN ('planned', 'waiting', 'sent', 'cancelled')), 
	CONSTRAINT installments_subject_id_fkey FOREIGN KEY(subject_id) REFERENCES plans (subject_id), 
	CONSTRAINT installments_subject_id_number_unique UNIQUE (subject_id, number)
);
CREATE TABLE invoice_retries (
	purchase_number BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at VARCHAR(27) NOT NULL, 
	problem TEXT NOT NULL, 
	open BOOLEAN NOT NULL, 
	CONSTRAINT invoice_retries_pkey PRIMARY KEY (purchase_number), 
	CONSTRAINT invoice_retries_purchase_number_fkey FOREIGN KEY(purchase_number) REFERENCES purchases (number)
);
CREATE TABLE jobs (
	name VARCHAR(16) NOT NULL, 
	last_finished_on DATE, 
	running_on DATE, 
	holder VARCHAR(200) NOT NULL, 
	lease_until VARCHAR(27) NOT NULL, 
	CONSTRAINT jobs_pkey PRIMARY KEY (name)
);
CREATE TABLE loan_payments (
	id CHAR(32) NOT NULL, 
	loan_id CHAR(32) NOT NULL, 
	sequence INTEGER NOT NULL, 
	amount_minor BIGINT NOT NULL, 
	method VARCHAR(40) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	effective_on DATE NOT NULL, 
	installment_number INTEGER, 
	kept_minor BIGINT NOT NULL, 
	reversed_on DATE, 
	reason VARCHAR(500), 
	transfer_id CHAR(32), 
	reference VARCHAR(255), 
	request_key VARCHAR(255), 
	received_at VARCHAR(27) NOT NULL, 
	settled_at VARCHAR(27), 
	CONSTRAINT loan_payments_pkey PRIMARY KEY (id), 
	CONSTRAINT loan_payments_loan_payments_reversed_on_known CHECK ((status = 'reversed') = (reversed_on IS NOT NULL)), 
	CONSTRAINT loan_payments_loan_payments_status_known CHECK (status IN ('paid', 'pending', 'failed', 'reversed')), 
	CONSTRAINT loan_payments_loan_payments_amount_minor_positive CHECK (amount_minor > 0), 
	CONSTRAINT loan_payments_loan_payments_kept_minor_positive CHECK (kept_minor >= 0), 
	CONSTRAINT loan_payments_loan_payments_reversed_on_after CHECK (reversed_on >= effective_on), 
	CONSTRAINT loan_payments_loan_id_fkey FOREIGN KEY(loan_id) REFERENCES loans (id), 
	CONSTRAINT loan_payments_loan_id_sequence_unique UNIQUE (loan_id, sequence)
);
CREATE TABLE loans (
	id CHAR(32) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	bank_account_id CHAR(32), 
	principal_minor BIGINT NOT NULL, 
	interest_rate VARCHAR(40) NOT NULL, 
	interest_minor BIGINT NOT NULL, 
	currency CHAR(3) NOT NULL, 
	installments INTEGER NOT NULL, 
	interval VARCHAR(16) NOT NULL, 
	start_on DATE NOT NULL, 
	rounding_unit INTEGER NOT NULL, 
	payment_policy VARCHAR(16) NOT NULL, 
	delinquent_after INTEGER NOT NULL, 
	collection VARCHAR(16) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	payments_count INTEGER NOT NULL, 
	received_minor BIGINT NOT NULL, 
	applied_minor BIGINT NOT NULL, 
	credited_minor BIGINT NOT NULL, 
	kept_minor BIGINT NOT NULL, 
	earned_minor BIGINT NOT NULL, 
	written_off_minor BIGINT NOT NULL, 
	written_off_at_minor BIGINT NOT NULL, 
	written_off_on DATE, 
	delinquent_on DATE, 
	is_delinquent BOOLEAN NOT NULL, 
	created_at VARCHAR(27) NOT NULL, reference VARCHAR(64), 
	CONSTRAINT loans_pkey PRIMARY KEY (id), 
	CONSTRAINT loans_loans_written_off_on_known CHECK ((status = 'written_off') = (written_off_on IS NOT NULL)), 
	CONSTRAINT loans_loans_bank_account_id_needed CHECK (collection = 'customer_pays' OR bank_account_id IS NOT NULL), 
	CONSTRAINT loans_loans_collection_known CHECK (collection IN ('customer_pays', 'auto_debit')), 
	CONSTRAINT loans_loans_interval_known CHECK (interval IN ('weekly', 'biweekly', 'monthly')), 
	CONSTRAINT loans_loans_payment_policy_known CHECK (payment_policy IN ('exact', 'flexible')), 
	CONSTRAINT loans_loans_status_known CHECK (status IN ('active', 'closed', 'written_off')), 
	CONSTRAINT loans_loans_applied_minor_positive CHECK (applied_minor >= 0), 
	CONSTRAINT loans_loans_credited_minor_kept CHECK (credited_minor >= kept_minor), 
	CONSTRAINT loans_loans_delinquent_after_positive CHECK (delinquent_after >= 1), 
	CONSTRAINT loans_loans_earned_minor_bounded CHECK (earned_minor BETWEEN 0 AND interest_minor), 
	CONSTRAINT loans_loans_installments_bounded CHECK (installments BETWEEN 1 AND 10000), 
	CONSTRAINT loans_loans_interest_minor_positive CHECK (interest_minor >= 0), 
	CONSTRAINT loans_loans_kept_minor_positive CHECK (kept_minor >= 0), 
	CONSTRAINT loans_loans_principal_minor_positive CHECK (principal_minor > 0), 
	CONSTRAINT loans_loans_paid_minor_owed CHECK (received_minor + applied_minor - credited_minor <= principal_minor + interest_minor), 
	CONSTRAINT loans_loans_received_minor_positive CHECK (received_minor >= 0), 
	CONSTRAINT loans_loans_rounding_unit_positive CHECK (rounding_unit >= 1), 
	CONSTRAINT loans_bank_account_id_fkey FOREIGN KEY(bank_account_id) REFERENCES bank_accounts (id), 
	CONSTRAINT loans_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id)
);
CREATE TABLE mail_cursors (
	name VARCHAR(16) NOT NULL, 
	event_seq BIGINT NOT NULL, 
	CONSTRAINT mail_cursors_pkey PRIMARY KEY (name)
);
CREATE TABLE operator_items (
	id CHAR(32) NOT NULL, 
	kind VARCHAR(24) NOT NULL, 
	about VARCHAR(255) NOT NULL, 
	transfer_id CHAR(32), 
	subject_id CHAR(32), 
	customer_id CHAR(32), 
	transfer_kind VARCHAR(16), 
	amount_minor BIGINT, 
	currency CHAR(3), 
	detail TEXT NOT NULL, 
	is_open BOOLEAN NOT NULL, 
	opened_on DATE NOT NULL, 
	opened_at VARCHAR(27) NOT NULL, 
	action VARCHAR(24), 
	reason TEXT, 
	resolved_by VARCHAR(100), 
	resolved_at VARCHAR(27), 
	CONSTRAINT operator_items_pkey PRIMARY KEY (id), 
	CONSTRAINT operator_items_resolved_by_action CHECK (is_open OR action IS NOT NULL), 
	CONSTRAINT operator_items_amount_has_currency CHECK ((amount_minor IS NULL) = (currency IS NULL)), 
	CONSTRAINT operator_items_transfer_fkey FOREIGN KEY(transfer_id) REFERENCES transfers (id)
);
CREATE TABLE plans (
	subject_id CHAR(32) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	bank_account_id CHAR(32) NOT NULL, 
	currency CHAR(3) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	total_minor BIGINT NOT NULL, 
	succeeded_minor BIGINT NOT NULL, 
	in_flight_minor BIGINT NOT NULL, 
	held_minor BIGINT NOT NULL, 
	unsent_minor BIGINT NOT NULL, 
	claimed_minor BIGINT NOT NULL, 
	excess_minor BIGINT NOT NULL, 
	rows_count INTEGER NOT NULL, 
	last_due_on DATE NOT NULL, 
	first_due_on DATE NOT NULL, 
	interval_days INTEGER NOT NULL, 
	on_failed_debit VARCHAR(16) NOT NULL, 
	max_attempts INTEGER NOT NULL, 
	hold_days INTEGER NOT NULL, interval_months INTEGER DEFAULT 0 NOT NULL, anchor_on DATE, 
	CONSTRAINT plans_pkey PRIMARY KEY (subject_id), 
	CONSTRAINT plans_claimed_minor_owed CHECK (claimed_minor - excess_minor <= total_minor), 
	CONSTRAINT plans_claimed_minor_sum CHECK (claimed_minor = succeeded_minor + in_flight_minor + held_minor), 
	CONSTRAINT plans_excess_minor_positive CHECK (excess_minor >= 0), 
	CONSTRAINT plans_held_minor_positive CHECK (held_minor >= 0), 
	CONSTRAINT plans_in_flight_minor_positive CHECK (in_flight_minor >= 0), 
	CONSTRAINT plans_status_known CHECK (status IN ('pending', 'active', 'paused', 'closed')), 
	CONSTRAINT plans_succeeded_minor_positive CHECK (succeeded_minor >= 0), 
	CONSTRAINT plans_total_minor_positive CHECK (total_minor >= 0), 
	CONSTRAINT plans_unsent_minor_positive CHECK (unsent_minor >= 0), 
	CONSTRAINT plans_bank_account_id_fkey FOREIGN KEY(bank_account_id) REFERENCES bank_accounts (id), 
	CONSTRAINT plans_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id)
);
CREATE TABLE postings (
	entry_seq BIGINT NOT NULL, 
	line SMALLINT NOT NULL, 
	account_id INTEGER NOT NULL, 
	amount_minor BIGINT NOT NULL, 
	customer_id CHAR(32), 
	subject_id CHAR(32), 
	CONSTRAINT postings_pkey PRIMARY KEY (entry_seq, line), 
	CONSTRAINT postings_amount_minor_not_zero CHECK (amount_minor <> 0), 
	CONSTRAINT postings_entry_seq_fkey FOREIGN KEY(entry_seq) REFERENCES entries (seq) DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE processor_reports (
	id CHAR(32) NOT NULL, 
	report_on DATE NOT NULL, 
	taken_at VARCHAR(27) NOT NULL, 
	sha256 CHAR(64) NOT NULL, 
	raw_sealed BLOB NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	rows_count INTEGER NOT NULL, 
	new_count INTEGER NOT NULL, 
	missing_count INTEGER NOT NULL, 
	is_rich BOOLEAN NOT NULL, 
	problems TEXT NOT NULL, 
	CONSTRAINT processor_reports_pkey PRIMARY KEY (id), 
	CONSTRAINT processor_reports_report_on_sha256_unique UNIQUE (report_on, sha256)
);
CREATE TABLE products (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	name_folded VARCHAR(765) NOT NULL, 
	sku VARCHAR(64), 
	stock BIGINT NOT NULL, 
	price_minor BIGINT NOT NULL, 
	tax_ppm INTEGER NOT NULL, 
	tax_inclusive BOOLEAN NOT NULL, 
	oversell_limit BIGINT NOT NULL, 
	currency CHAR(3) NOT NULL, 
	active BOOLEAN NOT NULL, 
	created_at VARCHAR(27) NOT NULL, 
	CONSTRAINT products_pkey PRIMARY KEY (id), 
	CONSTRAINT products_products_oversell_limit_positive CHECK (oversell_limit >= 0), 
	CONSTRAINT products_products_price_minor_positive CHECK (price_minor > 0), 
	CONSTRAINT products_products_stock_sufficient CHECK (stock >= -oversell_limit), 
	CONSTRAINT products_products_tax_ppm_percent CHECK (tax_ppm BETWEEN 0 AND 1000000)
);
CREATE TABLE purchase_items (
	purchase_number BIGINT NOT NULL, 
	line SMALLINT NOT NULL, 
	product_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	sku VARCHAR(64), 
	quantity BIGINT NOT NULL, 
	unit_price_minor BIGINT NOT NULL, 
	tax_ppm INTEGER NOT NULL, 
	tax_inclusive BOOLEAN NOT NULL, 
	amount_minor BIGINT NOT NULL, 
	tax_minor BIGINT NOT NULL, 
	CONSTRAINT purchase_items_pkey PRIMARY KEY (purchase_number, line), 
	CONSTRAINT purchase_items_purchase_items_amount_minor_positive CHECK (amount_minor >= 0), 
	CONSTRAINT purchase_items_purchase_items_quantity_positive CHECK (quantity > 0), 
	CONSTRAINT purchase_items_purchase_items_tax_minor_positive CHECK (tax_minor >= 0), 
	CONSTRAINT purchase_items_product_id_fkey FOREIGN KEY(product_id) REFERENCES products (id), 
	CONSTRAINT purchase_items_purchase_number_fkey FOREIGN KEY(purchase_number) REFERENCES purchases (number)
);
CREATE TABLE purchases (
	number BIGINT NOT NULL, 
	subject_id CHAR(32) NOT NULL, 
	customer_id CHAR(32), 
	customer_email VARCHAR(254), 
	currency CHAR(3) NOT NULL, 
	total_minor BIGINT NOT NULL, 
	tax_minor BIGINT NOT NULL, 
	rounding_minor BIGINT NOT NULL, 
	final_minor BIGINT NOT NULL, 
	paid_minor BIGINT NOT NULL, 
	tendered TEXT, 
	change TEXT NOT NULL, 
	cash_rounding VARCHAR(32) NOT NULL, 
	rules_version SMALLINT NOT NULL, 
	sold_on DATE NOT NULL, 
	recorded_at VARCHAR(27) NOT NULL, 
	session_number BIGINT, 
	is_imported BOOLEAN NOT NULL, 
	reference VARCHAR(64), 
	hash CHAR(64) NOT NULL, 
	CONSTRAINT purchases_pkey PRIMARY KEY (number), 
	CONSTRAINT purchases_purchases_final_minor_sum CHECK (final_minor = total_minor + tax_minor + rounding_minor), 
	CONSTRAINT purchases_purchases_paid_minor_sufficient CHECK (paid_minor >= final_minor), 
	CONSTRAINT purchases_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id)
);
CREATE TABLE refund_items (
	refund_number BIGINT NOT NULL, 
	purchase_line SMALLINT NOT NULL, 
	purchase_number BIGINT NOT NULL, 
	product_id INTEGER NOT NULL, 
	quantity BIGINT NOT NULL, 
	amount_minor BIGINT NOT NULL, 
	tax_minor BIGINT NOT NULL, 
	CONSTRAINT refund_items_pkey PRIMARY KEY (refund_number, purchase_line), 
	CONSTRAINT refund_items_refund_items_quantity_positive CHECK (quantity > 0), 
	CONSTRAINT refund_items_purchase_line_fkey FOREIGN KEY(purchase_number, purchase_line) REFERENCES purchase_items (purchase_number, line), 
	CONSTRAINT refund_items_refund_number_fkey FOREIGN KEY(refund_number) REFERENCES refunds (number)
);
CREATE TABLE refunds (
	number BIGINT NOT NULL, 
	subject_id CHAR(32) NOT NULL, 
	purchase_number BIGINT NOT NULL, 
	customer_id CHAR(32), 
	currency CHAR(3) NOT NULL, 
	total_minor BIGINT NOT NULL, 
	tax_minor BIGINT NOT NULL, 
	rounding_minor BIGINT NOT NULL, 
	cash_minor BIGINT NOT NULL, 
	pieces TEXT NOT NULL, 
	uncounted_minor BIGINT NOT NULL, 
	restock BOOLEAN NOT NULL, 
	reason TEXT NOT NULL, 
	refunded_on DATE NOT NULL, 
	recorded_at VARCHAR(27) NOT NULL, 
	session_number BIGINT, 
	is_imported BOOLEAN NOT NULL, 
	reference VARCHAR(64), 
	hash CHAR(64) NOT NULL, 
	CONSTRAINT refunds_pkey PRIMARY KEY (number), 
	CONSTRAINT refunds_refunds_cash_minor_sum CHECK (cash_minor = total_minor + tax_minor + rounding_minor), 
	CONSTRAINT refunds_refunds_cash_minor_positive CHECK (cash_minor >= 0), 
	CONSTRAINT refunds_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id), 
	CONSTRAINT refunds_purchase_number_fkey FOREIGN KEY(purchase_number) REFERENCES purchases (number)
);
CREATE TABLE report_facts (
	transaction_id VARCHAR(255) NOT NULL, 
	result VARCHAR(8) NOT NULL, 
	first_on DATE NOT NULL, 
	happened_on DATE NOT NULL, 
	not_before DATE NOT NULL, 
	applied BOOLEAN NOT NULL, 
	amount_minor BIGINT, 
	account_hash CHAR(64), 
	direction VARCHAR(6), 
	reason VARCHAR(200), 
	CONSTRAINT report_facts_pkey PRIMARY KEY (transaction_id, result), 
	CONSTRAINT report_facts_result_known CHECK (result IN ('success', 'fail'))
);
CREATE TABLE row_seals (
	name VARCHAR(63) NOT NULL, 
	rows_count BIGINT NOT NULL, 
	digest CHAR(64) NOT NULL, 
	CONSTRAINT row_seals_pkey PRIMARY KEY (name)
);
CREATE TABLE runs (
	job VARCHAR(16) NOT NULL, 
	business_date DATE NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	started_at VARCHAR(27) NOT NULL, 
	finished_at VARCHAR(27), 
	summary TEXT NOT NULL, 
	CONSTRAINT runs_pkey PRIMARY KEY (job, business_date), 
	CONSTRAINT runs_state_known CHECK (state IN ('running', 'finished'))
);
CREATE TABLE sending_states (
	name VARCHAR(16) NOT NULL, 
	state VARCHAR(12) NOT NULL, 
	reason TEXT NOT NULL, 
	changed_by VARCHAR(100) NOT NULL, 
	changed_at VARCHAR(27) NOT NULL, 
	lost_from DATE, 
	lost_until DATE, 
	CONSTRAINT sending_states_pkey PRIMARY KEY (name), 
	CONSTRAINT sending_states_sending_states_state_known CHECK (state IN ('open', 'stopped', 'reconciling'))
);
CREATE TABLE standings (
	subject_id CHAR(32) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	reason VARCHAR(64) NOT NULL, 
	active BOOLEAN NOT NULL, since_on DATE, 
	CONSTRAINT standings_pkey PRIMARY KEY (subject_id), 
	CONSTRAINT standings_customer_id_fkey FOREIGN KEY(customer_id) REFERENCES customers (id)
);
CREATE TABLE stock_movements (
	id CHAR(32) NOT NULL, 
	product_id INTEGER NOT NULL, 
	change BIGINT NOT NULL, 
	reason VARCHAR(64) NOT NULL, 
	recorded_at VARCHAR(27) NOT NULL, 
	CONSTRAINT stock_movements_pkey PRIMARY KEY (id), 
	CONSTRAINT stock_movements_product_id_fkey FOREIGN KEY(product_id) REFERENCES products (id)
);
CREATE TABLE transfers (
	id CHAR(32) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	direction VARCHAR(6) NOT NULL, 
	customer_id CHAR(32) NOT NULL, 
	bank_account_id CHAR(32) NOT NULL, 
	subject_id CHAR(32) NOT NULL, 
	installment_id CHAR(32), 
	installment_number INTEGER, 
	amount_minor BIGINT NOT NULL, 
	currency CHAR(3) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	held BOOLEAN NOT NULL, 
	transaction_id VARCHAR(255), 
	sent_on DATE NOT NULL, 
	intent_at VARCHAR(27) NOT NULL, 
	lease_until VARCHAR(27) NOT NULL, 
	sender VARCHAR(200) NOT NULL, 
	resolved_at VARCHAR(27), 
	resolved_on DATE, 
	reason VARCHAR(200), 
	is_ruled BOOLEAN NOT NULL, 
	request_key VARCHAR(255), 
	CONSTRAINT transfers_pkey PRIMARY KEY (id), 
	CONSTRAINT transfers_amount_minor_positive CHECK (amount_minor > 0), 
	CONSTRAINT transfers_direction_known CHECK (direction IN ('credit', 'debit')), 
	CONSTRAINT transfers_held_timed_out CHECK (NOT held OR state = 'timed_out'), 
	CONSTRAINT transfers_state_known CHECK (state IN ('intent', 'accepted', 'rejected', 'unknown', 'succeeded', 'failed', 'timed_out', 'returned', 'not_executed'))
);
CREATE UNIQUE INDEX entries_reverses_seq_unique ON entries (reverses_seq) WHERE reverses_seq IS NOT NULL;
CREATE INDEX postings_account_id_index ON postings (account_id, entry_seq);
CREATE INDEX bank_accounts_customer_id_index ON bank_accounts (customer_id);
CREATE INDEX standings_customer_id_index ON standings (customer_id) WHERE active;
CREATE INDEX transfers_bank_account_id_sent_on_index ON transfers (bank_account_id, sent_on);
CREATE INDEX transfers_held_index ON transfers (sent_on) WHERE held;
CREATE UNIQUE INDEX transfers_installment_id_live_unique ON transfers (installment_id) WHERE state IN ('intent', 'accepted', 'unknown', 'timed_out', 'succeeded');
CREATE INDEX transfers_resolved_on_id_index ON transfers (resolved_on, id) WHERE resolved_on IS NOT NULL;
CREATE INDEX transfers_sent_on_id_index ON transfers (sent_on, id);
CREATE INDEX transfers_sent_on_open_index ON transfers (sent_on) WHERE state IN ('intent', 'accepted', 'unknown');
CREATE INDEX transfers_subject_id_index ON transfers (subject_id);
CREATE UNIQUE INDEX transfers_transaction_id_unique ON transfers (transaction_id);
CREATE INDEX report_facts_not_before_index ON report_facts (not_before);
CREATE INDEX report_facts_unapplied_index ON report_facts (transaction_id) WHERE NOT applied;
CREATE UNIQUE INDEX operator_items_about_open_unique ON operator_items (about, kind) WHERE is_open;
CREATE INDEX operator_items_open_index ON operator_items (id) WHERE is_open;
CREATE INDEX operator_items_transfer_id_index ON operator_items (transfer_id);
CREATE INDEX plans_customer_id_owing_index ON plans (customer_id) WHERE succeeded_minor < total_minor;
CREATE INDEX installments_due_on_planned_index ON installments (due_on) WHERE state = 'planned';
CREATE INDEX advances_customer_id_id_index ON advances (customer_id, id);
CREATE INDEX advances_customer_id_owing_index ON advances (customer_id) WHERE status IN ('pending', 'active', 'in_default', 'cancelled');
CREATE INDEX advances_status_id_index ON advances (status, id);
CREATE TRIGGER events_append_only_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events_append_only'); END;
CREATE TRIGGER events_append_only_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events_append_only'); END;
CREATE TRIGGER entries_append_only_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries_append_only'); END;
CREATE TRIGGER entries_append_only_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries_append_only'); END;
CREATE TRIGGER postings_append_only_update BEFORE UPDATE ON postings BEGIN SELECT RAISE(ABORT, 'postings_append_only'); END;
CREATE TRIGGER postings_append_only_delete BEFORE DELETE ON postings BEGIN SELECT RAISE(ABORT, 'postings_append_only'); END;
CREATE TRIGGER entries_postings_balanced AFTER INSERT ON entries
WHEN (SELECT count(*) FROM postings p JOIN accounts a ON a.id = p.account_id
      WHERE p.entry_seq = NEW.seq) <> NEW.postings_count
  OR EXISTS (SELECT 1 FROM postings p JOIN accounts a ON a.id = p.account_id
      WHERE p.entry_seq = NEW.seq GROUP BY a.currency HAVING sum(p.amount_minor) <> 0)
BEGIN SELECT RAISE(ABORT, 'entries_postings_balanced'); END;
CREATE TRIGGER postings_before_entry BEFORE INSERT ON postings
WHEN EXISTS (SELECT 1 FROM entries e WHERE e.seq = NEW.entry_seq)
BEGIN SELECT RAISE(ABORT, 'postings_before_entry'); END;
CREATE TRIGGER commands_no_delete BEFORE DELETE ON commands BEGIN SELECT RAISE(ABORT, 'commands_no_delete'); END;
CREATE TRIGGER transfers_no_delete BEFORE DELETE ON transfers BEGIN SELECT RAISE(ABORT, 'transfers_no_delete'); END;
CREATE TRIGGER processor_reports_no_delete BEFORE DELETE ON processor_reports BEGIN SELECT RAISE(ABORT, 'processor_reports_no_delete'); END;
CREATE TRIGGER report_facts_no_delete BEFORE DELETE ON report_facts BEGIN SELECT RAISE(ABORT, 'report_facts_no_delete'); END;
CREATE TRIGGER operator_items_no_delete BEFORE DELETE ON operator_items BEGIN SELECT RAISE(ABORT, 'operator_items_no_delete'); END;
CREATE TRIGGER installments_no_delete BEFORE DELETE ON installments BEGIN SELECT RAISE(ABORT, 'installments_no_delete'); END;
CREATE TRIGGER runs_no_delete BEFORE DELETE ON runs BEGIN SELECT RAISE(ABORT, 'runs_no_delete'); END;
CREATE TRIGGER commands_reply_kept BEFORE UPDATE ON commands WHEN OLD.status IS NOT NULL BEGIN SELECT RAISE(ABORT, 'commands_reply_kept'); END;
CREATE TRIGGER transfers_state_moves BEFORE UPDATE ON transfers WHEN OLD.state <> NEW.state AND NOT ((OLD.state = 'intent' AND NEW.state IN ('accepted', 'rejected', 'unknown')) OR (OLD.state = 'accepted' AND NEW.state IN ('succeeded', 'failed', 'returned', 'timed_out', 'not_executed')) OR (OLD.state = 'timed_out' AND NEW.state IN ('succeeded', 'failed', 'returned', 'not_executed')) OR (OLD.state = 'succeeded' AND NEW.state IN ('returned', 'failed')) OR (OLD.state = 'unknown' AND NEW.state IN ('accepted', 'not_executed', 'succeeded', 'failed', 'returned')) OR (OLD.state = 'not_executed' AND NEW.state IN ('accepted', 'succeeded', 'failed', 'returned')) OR (OLD.state = 'failed' AND NEW.state IN ('accepted', 'succeeded', 'returned')) OR (OLD.state = 'returned' AND NEW.state IN ('accepted', 'succeeded', 'failed'))) BEGIN SELECT RAISE(ABORT, 'transfers_state_moves'); END;
CREATE TRIGGER transfers_order_kept BEFORE UPDATE ON transfers WHEN OLD.amount_minor <> NEW.amount_minor OR OLD.direction <> NEW.direction OR OLD.bank_account_id <> NEW.bank_account_id OR OLD.currency <> NEW.currency OR OLD.subject_id <> NEW.subject_id BEGIN SELECT RAISE(ABORT, 'transfers_order_kept'); END;
CREATE UNIQUE INDEX products_name_folded_unique ON products (name_folded) WHERE active;
CREATE UNIQUE INDEX products_sku_unique ON products (sku) WHERE active AND sku IS NOT NULL;
CREATE INDEX stock_movements_product_id_index ON stock_movements (product_id);
CREATE UNIQUE INDEX drawer_sessions_open_unique ON drawer_sessions (currency) WHERE closed_at IS NULL;
CREATE INDEX purchases_customer_id_index ON purchases (customer_id, number) WHERE customer_id IS NOT NULL;
CREATE UNIQUE INDEX purchases_reference_unique ON purchases (reference) WHERE reference IS NOT NULL;
CREATE INDEX refunds_purchase_number_index ON refunds (purchase_number);
CREATE INDEX refund_items_purchase_number_index ON refund_items (purchase_number);
CREATE INDEX drawer_movements_session_number_index ON drawer_movements (session_number, number) WHERE session_number IS NOT NULL;
CREATE INDEX invoice_retries_next_at_index ON invoice_retries (next_at) WHERE open;
CREATE TRIGGER stock_movements_append_only_update BEFORE UPDATE ON stock_movements BEGIN SELECT RAISE(ABORT, 'stock_movements_append_only'); END;
CREATE TRIGGER stock_movements_append_only_delete BEFORE DELETE ON stock_movements BEGIN SELECT RAISE(ABORT, 'stock_movements_append_only'); END;
CREATE TRIGGER purchases_append_only_update BEFORE UPDATE ON purchases BEGIN SELECT RAISE(ABORT, 'purchases_append_only'); END;
CREATE TRIGGER purchases_append_only_delete BEFORE DELETE ON purchases BEGIN SELECT RAISE(ABORT, 'purchases_append_only'); END;
CREATE TRIGGER purchase_items_append_only_update BEFORE UPDATE ON purchase_items BEGIN SELECT RAISE(ABORT, 'purchase_items_append_only'); END;
CREATE TRIGGER purchase_items_append_only_delete BEFORE DELETE ON purchase_items BEGIN SELECT RAISE(ABORT, 'purchase_items_append_only'); END;
CREATE TRIGGER refunds_append_only_update BEFORE UPDATE ON refunds BEGIN SELECT RAISE(ABORT, 'refunds_append_only'); END;
CREATE TRIGGER refunds_append_only_delete BEFORE DELETE ON refunds BEGIN SELECT RAISE(ABORT, 'refunds_append_only'); END;
CREATE TRIGGER refund_items_append_only_update BEFORE UPDATE ON refund_items BEGIN SELECT RAISE(ABORT, 'refund_items_append_only'); END;
CREATE TRIGGER refund_items_append_only_delete BEFORE DELETE ON refund_items BEGIN SELECT RAISE(ABORT, 'refund_items_append_only'); END;
CREATE TRIGGER drawer_movements_append_only_update BEFORE UPDATE ON drawer_movements BEGIN SELECT RAISE(ABORT, 'drawer_movements_append_only'); END;
CREATE TRIGGER drawer_movements_append_only_delete BEFORE DELETE ON drawer_movements BEGIN SELECT RAISE(ABORT, 'drawer_movements_append_only'); END;
CREATE TRIGGER products_no_delete BEFORE DELETE ON products BEGIN SELECT RAISE(ABORT, 'products_no_delete'); END;
CREATE TRIGGER drawers_no_delete BEFORE DELETE ON drawers BEGIN SELECT RAISE(ABORT, 'drawers_no_delete'); END;
CREATE TRIGGER denominations_no_delete BEFORE DELETE ON denominations BEGIN SELECT RAISE(ABORT, 'denominations_no_delete'); END;
CREATE INDEX bill_messages_customer_id_index ON bill_messages (customer_id);
CREATE INDEX bill_facts_customer_id_index ON bill_facts (customer_id) WHERE folds;
CREATE INDEX bill_facts_recorded_index ON bill_facts (customer_id) WHERE status = 'recorded';
CREATE INDEX bill_facts_review_index ON bill_facts (message_id) WHERE status = 'review';
CREATE INDEX bill_accounts_customer_id_index ON bill_accounts (customer_id);
CREATE INDEX bills_customer_id_index ON bills (customer_id, due_on);
CREATE INDEX bill_transactions_customer_id_index ON bill_transactions (customer_id);
CREATE INDEX bill_links_customer_id_index ON bill_links (customer_id);
CREATE INDEX bill_resolutions_message_id_index ON bill_resolutions (message_id);
CREATE TRIGGER bill_messages_append_only_update BEFORE UPDATE ON bill_messages BEGIN SELECT RAISE(ABORT, 'bill_messages_append_only'); END;
CREATE TRIGGER bill_messages_append_only_delete BEFORE DELETE ON bill_messages BEGIN SELECT RAISE(ABORT, 'bill_messages_append_only'); END;
CREATE TRIGGER bill_links_append_only_update BEFORE UPDATE ON bill_links BEGIN SELECT RAISE(ABORT, 'bill_links_append_only'); END;
CREATE TRIGGER bill_links_append_only_delete BEFORE DELETE ON bill_links BEGIN SELECT RAISE(ABORT, 'bill_links_append_only'); END;
CREATE TRIGGER bill_resolutions_append_only_update BEFORE UPDATE ON bill_resolutions BEGIN SELECT RAISE(ABORT, 'bill_resolutions_append_only'); END;
CREATE TRIGGER bill_resolutions_append_only_delete BEFORE DELETE ON bill_resolutions BEGIN SELECT RAISE(ABORT, 'bill_resolutions_append_only'); END;
CREATE TRIGGER bill_facts_no_delete BEFORE DELETE ON bill_facts BEGIN SELECT RAISE(ABORT, 'bill_facts_no_delete'); END;
CREATE TRIGGER bill_accounts_no_delete BEFORE DELETE ON bill_accounts BEGIN SELECT RAISE(ABORT, 'bill_accounts_no_delete'); END;
CREATE TRIGGER bills_no_delete BEFORE DELETE ON bills BEGIN SELECT RAISE(ABORT, 'bills_no_delete'); END;
CREATE TRIGGER bill_transactions_no_delete BEFORE DELETE ON bill_transactions BEGIN SELECT RAISE(ABORT, 'bill_transactions_no_delete'); END;
CREATE INDEX loans_customer_id_delinquent_index ON loans (customer_id) WHERE is_delinquent;
CREATE INDEX loans_customer_id_id_index ON loans (customer_id, id);
CREATE INDEX loans_delinquent_on_untold_index ON loans (delinquent_on) WHERE delinquent_on IS NOT NULL AND NOT is_delinquent;
CREATE INDEX loans_status_id_index ON loans (status, id);
CREATE UNIQUE INDEX loan_payments_installment_live_unique ON loan_payments (loan_id, installment_number) WHERE installment_number IS NOT NULL AND status IN ('paid', 'pending');
CREATE INDEX loan_payments_pending_index ON loan_payments (received_at) WHERE status = 'pending';
CREATE UNIQUE INDEX loan_payments_transfer_id_unique ON loan_payments (transfer_id) WHERE transfer_id IS NOT NULL AND status = 'paid';
CREATE TRIGGER loans_no_delete BEFORE DELETE ON loans BEGIN SELECT RAISE(ABORT, 'loans_no_delete'); END;
CREATE TRIGGER loan_payments_no_delete BEFORE DELETE ON loan_payments BEGIN SELECT RAISE(ABORT, 'loan_payments_no_delete'); END;
CREATE TRIGGER loans_terms_fixed BEFORE UPDATE ON loans WHEN OLD.customer_id <> NEW.customer_id OR OLD.principal_minor <> NEW.principal_minor OR OLD.interest_rate <> NEW.interest_rate OR OLD.interest_minor <> NEW.interest_minor OR OLD.currency <> NEW.currency OR OLD.installments <> NEW.installments OR OLD.interval <> NEW.interval OR OLD.start_on <> NEW.start_on OR OLD.rounding_unit <> NEW.rounding_unit OR OLD.payment_policy <> NEW.payment_policy OR OLD.delinquent_after <> NEW.delinquent_after OR OLD.collection <> NEW.collection OR OLD.created_at <> NEW.created_at BEGIN SELECT RAISE(ABORT, 'loans_terms_fixed'); END;
CREATE TRIGGER loan_payments_fixed BEFORE UPDATE ON loan_payments WHEN OLD.loan_id <> NEW.loan_id OR OLD.sequence <> NEW.sequence OR OLD.amount_minor <> NEW.amount_minor OR OLD.method <> NEW.method OR OLD.effective_on <> NEW.effective_on OR OLD.received_at <> NEW.received_at OR NOT ((OLD.status = 'pending' AND NEW.status IN ('pending', 'paid', 'failed')) OR (OLD.status = 'paid' AND NEW.status = 'reversed')) BEGIN SELECT RAISE(ABORT, 'loan_payments_fixed'); END;
CREATE UNIQUE INDEX loans_reference_unique ON loans (reference) WHERE reference IS NOT NULL;
CREATE TRIGGER loans_reference_fixed BEFORE UPDATE ON loans WHEN COALESCE(OLD.reference, '') <> COALESCE(NEW.reference, '') BEGIN SELECT RAISE(ABORT, 'loans_reference_fixed'); END;
CREATE TRIGGER row_seals_no_delete BEFORE DELETE ON row_seals BEGIN SELECT RAISE(ABORT, 'row_seals_no_delete'); END;
CREATE TRIGGER api_keys_no_delete BEFORE DELETE ON api_keys BEGIN SELECT RAISE(ABORT, 'api_keys_no_delete'); END;
CREATE TRIGGER sending_states_no_delete BEFORE DELETE ON sending_states BEGIN SELECT RAISE(ABORT, 'sending_states_no_delete'); END;
CREATE TRIGGER api_keys_kept BEFORE UPDATE ON api_keys WHEN OLD.revoked_at IS NOT NULL OR OLD.scope <> NEW.scope OR OLD.key_hash <> NEW.key_hash OR OLD.client_id <> NEW.client_id BEGIN SELECT RAISE(ABORT, 'api_keys_kept'); END;
CREATE INDEX transfers_resolved_at_index ON transfers (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX events_subject_id_index ON events (subject_id) WHERE substr(type, 1, 7) <> 'retail.';
CREATE INDEX postings_customer_id_index ON postings (customer_id, entry_seq) WHERE line = 1 AND customer_id IS NOT NULL;
