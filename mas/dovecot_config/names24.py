"""What Dovecot 2.4 calls what 2.3 called otherwise, and where its settings belong. Pure."""

from __future__ import annotations

FILES = {
    "ssl_server_cert_file": "ssl_cert",
    "ssl_server_key_file": "ssl_key",
    "ssl_server_dh_file": "ssl_dh",
    "ssl_server_ca_file": "ssl_ca",
    "ssl_server_alt_cert_file": "ssl_alt_cert",
    "ssl_server_alt_key_file": "ssl_alt_key",
}
NAMES = {
    "ssl_server_key_password": "ssl_key_password",
    "ssl_server_request_client_cert": "ssl_verify_client_cert",
    "ssl_server_cert_username_field": "ssl_cert_username_field",
    "sieve_quota_script_count": "sieve_quota_max_scripts",
    "sieve_quota_storage_size": "sieve_quota_max_storage",
    "sieve_user_log_path": "sieve_user_log",
    "quota_mail_size": "quota_max_mail_size",
    "quota_storage_grace": "quota_grace",
}
LISTS = (
    "mail_plugins",
    "protocols",
    "auth_mechanisms",
    "sieve_plugins",
    "sieve_extensions",
    "sieve_global_extensions",
)
LOCATION = {
    "mail_inbox_path": "INBOX",
    "mail_index_path": "INDEX",
    "mail_control_path": "CONTROL",
    "mail_volatile_path": "VOLATILEDIR",
    "mailbox_list_layout": "LAYOUT",
    "mailbox_subscriptions_filename": "SUBSCRIPTIONS",
    "mailbox_directory_name": "DIRNAME",
}
UTF8 = "mailbox_list_utf8"
ESCAPES = (
    "mailbox_list_visible_escape_char",
    "mailbox_list_storage_escape_char",
    "mail_alt_path",
    "mail_index_private_path",
)
"""Settings of where mail lies that MAS has nothing of: the location is then left out as a whole."""
PREFIXES = (
    "ssl_server",
    "ssl_client",
    "auth_policy",
    "mail_attribute",
    "doveadm",
    "mail_ext_attachment",
    "oauth2",
    "fts",
    "acl",
)
"""Nameless blocks that stand for a prefix."""
ROOT_QUOTA = {
    "quota_storage_size": "storage_size",
    "quota_message_count": "message_count",
    "quota_storage_grace": "storage_grace",
    "quota_exceeded_message": "exceeded_message",
}
"""Settings outside of a quota block that hold for every one."""
PLACES = ("mail_driver", "mail_path", UTF8, *ESCAPES, *LOCATION)
SQL = ("sql_driver", "sqlite_path", "mysql", "pgsql")
DATABASE_WIDE = (
    "passdb_default_password_scheme", "passdb_sql_query", "passdb_sql_iterate_query", "userdb_sql_query", "userdb_sql_iterate_query",
)  # fmt: skip
PLUGIN = (
    "sieve_",
    "quota_",
    "imapsieve_",
    "zlib_",
    "mail_compress",
    "mail_crypt_",
    "acl_",
    "fts_",
    "mail_log_",
    "trash_",
)
ENGLISH = {"Drafts": "\\Drafts", "Junk": "\\Junk", "Trash": "\\Trash", "Sent": "\\Sent", "Sent Messages": "\\Sent"}
"""What ``@mailbox_defaults = english`` stands for when no group of that name is in the tree."""
