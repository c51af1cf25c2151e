"""The table of plain settings: what stands outside of blocks, or in ``protocol X {``. One place for each name. Pure.

Names in PER_PROTOCOL mean something of their own in that protocol's block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mas.dovecot_config.conversion import Conversion, Handler, fine, leave, same, to
from mas.dovecot_config.grammar import Setting
from mas.dovecot_config.tree import Block
from mas.dovecot_config.values import boolean, duration, number, size, words
from mas.dovecot_config.variables import template

MECHANISMS = ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "OAUTHBEARER",
              "XOAUTH2", "EXTERNAL", "CRAM-MD5")  # fmt: skip

_PROCESSES = "MAS has no such processes to tune"
_INDEX = "about Dovecot's index files; MAS has its own index"
_MBOX = "about another mailbox format"
_OUTGOING = "about being a client of other servers, which MAS is not"
_POP3 = "MAS has no POP3"
_LOG = "MAS logs one line an event to standard error, so to systemd's journal; there is [log] level and format"
_POLICY = "MAS asks no policy server"
_REPLICATION = "MAS has no replication"
_DOVEADM = "about doveadm; MAS's commands need no server"
_KERBEROS = "MAS has no such mechanism"


def _protocols(conversion: Conversion, block: Block, setting: Setting) -> None:
    wanted = words(setting.value)
    ours = [name for name in ("imap", "lmtp", "sieve") if name in wanted]
    if ours:
        conversion.put("protocols", tuple(ours))
    others = [name for name in wanted if name not in ours and name != "none"]
    if others:
        conversion.left(block, setting, f"MAS has no {', '.join(others)}")


def _listen(conversion: Conversion, _: Block, setting: Setting) -> None:
    conversion.put("listen", tuple(words(setting.value)))


_MORE = {"EXTERNAL": "tls.client_ca", "OAUTHBEARER": "[auth.oauth2]", "XOAUTH2": "[auth.oauth2]"}
"""Mechanisms with settings that a Dovecot configuration does not have in MAS's form."""


def _mechanisms(conversion: Conversion, block: Block, setting: Setting) -> None:
    wanted = [word.upper() for word in words(setting.value)]
    ours = [name for name in wanted if name in MECHANISMS and name not in _MORE]
    conversion.put("auth.mechanisms", tuple(ours or ["PLAIN"]))
    for name in wanted:
        if name in _MORE:
            conversion.left(block, setting, f"{name} needs {_MORE[name]}: set that, and add it to auth.mechanisms")
    if others := [name for name in wanted if name not in MECHANISMS]:
        conversion.left(block, setting, f"MAS has no {', '.join(others)}")


def _plaintext(conversion: Conversion, block: Block, setting: Setting) -> None:
    if not boolean(setting.value):
        conversion.left(block, setting, "MAS never takes a password before TLS, and offers TLS on every port")


def _ssl(conversion: Conversion, block: Block, setting: Setting) -> None:
    if setting.value not in ("yes", "required"):
        conversion.left(block, setting, "MAS serves TCP with TLS only: set tls.cert and tls.key")


def _certificate(key: str) -> Handler:
    def handler(conversion: Conversion, block: Block, setting: Setting) -> None:
        if not setting.value:
            return
        if not setting.from_file:
            raise ValueError(f"the PEM text itself: write it to a file and name that in {key}")
        conversion.put(key, setting.value)

    return handler


def _dh(conversion: Conversion, block: Block, setting: Setting) -> None:
    # Debian's package brings this file, and takes it away when it is removed; OpenSSL's own groups are as good.
    if setting.from_file and setting.value != "/usr/share/dovecot/dh.pem":
        conversion.put("tls.dh_params", setting.value)
    elif setting.value and not setting.from_file:
        raise ValueError("the parameters themselves: write them to a file and name that in tls.dh_params")


def _min_protocol(conversion: Conversion, block: Block, setting: Setting) -> None:
    if setting.value in ("TLSv1.2", "TLSv1.3"):
        conversion.put("tls.min_version", setting.value)
    elif setting.value == "LATEST":
        conversion.put("tls.min_version", "TLSv1.3")
    else:
        conversion.left(block, setting, "MAS speaks TLS 1.2 and newer")


def _protocols_of_old(conversion: Conversion, block: Block, setting: Setting) -> None:
    allowed = set(words(setting.value))
    without = {word[1:] for word in allowed if word.startswith("!")}
    if not {"TLSv1", "TLSv1.1"} <= without and not allowed <= {"TLSv1.2", "TLSv1.3"}:
        conversion.left(block, setting, "MAS speaks TLS 1.2 and newer")


def _ciphers(conversion: Conversion, _: Block, setting: Setting) -> None:
    if not setting.value.startswith("ALL:!kRSA:"):  # Dovecot's own default: MAS leaves that choice to OpenSSL
        conversion.put("tls.ciphers", setting.value)


def _user_ip_connections(conversion: Conversion, block: Block, setting: Setting) -> None:
    if block.name in ("", "imap"):
        conversion.put("imap.max_user_ip_connections", number(setting.value))
    if block.name in ("", "sieve"):
        conversion.put("managesieve.max_user_ip_connections", number(setting.value))


def _username_format(conversion: Conversion, _: Block, setting: Setting) -> None:
    conversion.put("auth.username_format", template(setting.value or "%u"))


def _failure_delay(conversion: Conversion, _: Block, setting: Setting) -> None:
    conversion.put("auth.failure_delay", duration(setting.value))


def _trusted(conversion: Conversion, _: Block, setting: Setting) -> None:
    conversion.put("auth.login_trusted_networks", tuple(words(setting.value)))


def _proxies(conversion: Conversion, _: Block, setting: Setting) -> None:
    conversion.put("proxy.trusted_networks", tuple(words(setting.value)))


def _debug(conversion: Conversion, _: Block, setting: Setting) -> None:
    if boolean(setting.value):
        conversion.put("log.level", "debug")


def _sendmail(conversion: Conversion, _: Block, setting: Setting) -> None:
    # The default: the same Postfix takes the mail on port 25, and a program with set-group-ID does not work in MAS's unit.
    if setting.value and setting.value != "/usr/sbin/sendmail" and not conversion.root.value("submission_host"):
        conversion.put("sieve.sendmail", setting.value)


def _submission_host(conversion: Conversion, _: Block, setting: Setting) -> None:
    if setting.value:
        kind = {"smtps": "smtps", "starttls": "smtp+starttls"}.get(conversion.root.value("submission_ssl"), "smtp")
        host = setting.value if ":" in setting.value else f"{setting.value}:25"
        conversion.put("sieve.submission", f"{kind}://{host}")


def _hdr_address(conversion: Conversion, _: Block, setting: Setting) -> None:
    conversion.put("lmtp.delivery_address_header", setting.value)


def _plain_or_yes(key: str) -> Handler:
    return to(key, boolean)


def _postmaster(conversion: Conversion, block: Block, setting: Setting) -> None:
    if "%" not in setting.value:
        conversion.put("postmaster", setting.value)
    elif setting.value not in (
        "postmaster@%{if;%d;ne;;%d;%{hostname}}",
        "postmaster@%d",
        "postmaster@%{if;%d;ne;;%d;%{hostname}}",
    ):
        raise ValueError("MAS's postmaster has no variables; without one it is postmaster@<the recipient's domain>")


def _delimiter(conversion: Conversion, _: Block, setting: Setting) -> None:
    conversion.put("lmtp.recipient_delimiter", setting.value)


def _uid_range(conversion: Conversion, block: Block, setting: Setting) -> None:
    """All mail belongs to one user: the range only has to hold it."""
    uid = str(conversion.target.get("mail.gid" if "gid" in setting.key else "mail.uid", "vmail"))
    if uid.isdigit() and setting.value.isdigit() and int(setting.value):
        inside = int(uid) >= int(setting.value) if setting.key.startswith("first") else int(uid) <= int(setting.value)
        if not inside:
            conversion.left(block, setting, f"MAS has no range of user ids; mail.uid {uid} is outside of this one")


def _dir(default: str, why: str) -> Handler:
    def handler(conversion: Conversion, block: Block, setting: Setting) -> None:
        if setting.value.rstrip("/") not in (default, default.removeprefix("/var"), ""):
            conversion.left(block, setting, why)

    return handler


def _capability(conversion: Conversion, _: Block, setting: Setting) -> None:
    conversion.put("imap.capability", setting.value)


def _managesieve_capability(conversion: Conversion, _: Block, setting: Setting) -> None:
    # "doveconf -n" prints what the plugins made of it at start: not the operator's.
    if not setting.value.startswith("fileinto reject envelope encoded-character vacation"):
        conversion.put("managesieve.sieve_capability", setting.value)


def _mail_plugins(conversion: Conversion, block: Block, setting: Setting) -> None:
    """Which plugins are on is asked where it matters (``loaded``); here only what MAS has nothing of."""
    others = [name for name in words(setting.value) if name not in PLUGINS_WE_ARE]
    if others:
        conversion.left(block, setting, f"MAS has no {', '.join(others)}")


PLUGINS_WE_ARE = frozenset(
    {"quota", "imap_quota", "sieve", "imap_sieve", "notify", "mail_log", "zlib", "mail_compress", "imap_zlib"}
)


def loaded(conversion: Conversion, plugin: str, protocol: str) -> bool:
    """Whether Dovecot loads ``plugin`` for ``protocol``."""
    root = conversion.root
    blocks = [block for block in root.of("protocol") if block.names == (protocol,) and "mail_plugins" in block.settings]
    text = blocks[-1].value("mail_plugins") if blocks else root.value("mail_plugins")
    return plugin in words(text)


TABLE: Mapping[str, Handler] = {
    # what runs, and where it listens
    "protocols": _protocols,
    "listen": _listen,
    "dovecot_config_version": fine,
    "dovecot_storage_version": fine,
    "base_dir": _dir("/var/run/dovecot", "MAS's run_dir is /run/mas; sockets that stood there are named in full"),
    "state_dir": _dir("/var/lib/dovecot", "MAS's state_dir is its own"),
    "instance_name": leave("there is one MAS a host, named by its configuration"),
    "hostname": to("hostname"),
    "import_environment": leave("MAS takes nothing from the environment but what its unit says"),
    "shutdown_clients": same("yes", why="sessions end when MAS stops; a reload lets them finish"),
    "login_greeting": leave("MAS's greeting is fixed"),
    "login_trusted_networks": _trusted,
    "haproxy_trusted_networks": _proxies,
    "haproxy_timeout": to("proxy.timeout", duration),
    "default_internal_user": fine, "default_internal_group": fine, "default_login_user": fine,
    **dict.fromkeys(("default_process_limit", "default_client_limit", "default_vsz_limit", "default_idle_kill",
                     "verbose_proctitle"), leave(_PROCESSES)),
    "version_ignore": fine, "libexec_dir": fine, "log_core_filter": leave(_LOG), "log_debug": leave(_LOG),
    "login_source_ips": leave(_OUTGOING), "login_access_sockets": leave("MAS has no tcpwrappers; use the firewall"),
    "login_plugins": leave("MAS has no such plugins"), "login_plugin_dir": fine, "mail_plugin_dir": fine,
    **dict.fromkeys(("login_proxy_max_disconnect_delay", "login_proxy_max_reconnects", "login_proxy_notify_path",
                     "login_proxy_timeout", "login_proxy_rawlog_dir", "lmtp_proxy_rawlog_dir"), leave(_OUTGOING)),
    # TLS
    "ssl": _ssl,
    "ssl_cert": _certificate("tls.cert"),
    "ssl_key": _certificate("tls.key"),
    "ssl_min_protocol": _min_protocol,
    "ssl_protocols": _protocols_of_old,
    "ssl_cipher_list": _ciphers,
    "ssl_prefer_server_ciphers": to("tls.prefer_server_ciphers", boolean),
    "ssl_dh": _dh,
    "ssl_dh_parameters_length": fine,
    "ssl_cipher_suites": leave("TLS 1.3's suites are OpenSSL's choice in MAS"),
    "ssl_curve_list": leave("the curves are OpenSSL's choice in MAS"),
    "ssl_options": same("", "no_compression", "no_ticket no_compression", why="MAS has no such options; it never compresses"),
    "ssl_key_password": leave("MAS takes a key without a password; protect the file by its mode"),
    "ssl_alt_cert": leave("MAS has one certificate a name; use the one that clients can"),
    "ssl_alt_key": leave("MAS has one certificate a name; use the one that clients can"),
    **dict.fromkeys(("ssl_ca", "ssl_verify_client_cert", "ssl_require_crl", "ssl_cert_username_field",
                     "auth_ssl_require_client_cert", "auth_ssl_username_from_cert"),
                    same("", "no", "yes", "commonname", why="MAS asks for no client certificates here")),
    "ssl_client_ca_dir": same("", "/etc/ssl/certs", why="MAS trusts the system's authorities"),
    "ssl_client_ca_file": same("", "/etc/ssl/certs/ca-certificates.crt", why="MAS trusts the system's authorities"),
    **dict.fromkeys(("ssl_client_cert", "ssl_client_key", "ssl_client_require_valid_cert"), leave(_OUTGOING)),
    "ssl_crypto_device": leave("MAS uses no crypto device"),
    "verbose_ssl": _debug,
    # logins
    "disable_plaintext_auth": _plaintext,
    "auth_mechanisms": _mechanisms,
    "auth_username_format": _username_format,
    "auth_username_chars": to("auth.username_chars"),
    "auth_username_translation": leave("MAS does not translate characters of names"),
    "auth_default_realm": leave("MAS adds no domain to names: use the query"),
    "auth_realms": leave("MAS has no realms"),
    "auth_cache_size": to("auth.cache_size", size),
    "auth_cache_ttl": to("auth.cache_ttl", duration),
    "auth_cache_negative_ttl": to("auth.cache_negative_ttl", duration),
    "auth_cache_verify_password_with_worker": fine,
    "auth_failure_delay": _failure_delay,
    "auth_verbose": fine,
    "auth_verbose_passwords": same("no", why="MAS never logs passwords, nor parts of their hashes"),
    "auth_debug": _debug,
    "auth_debug_passwords": same("no", why="MAS never logs passwords"),
    "auth_worker_max_count": leave("the threads that hash passwords are auth.workers; 0 = one a CPU"),
    "auth_anonymous_username": fine,
    "auth_master_user_separator": to("auth.master_user_separator", str), "master_user_separator": to("auth.master_user_separator", str),
    "auth_socket_path": fine,
    "auth_stats": fine,
    **dict.fromkeys(("auth_use_winbind", "auth_winbind_helper_path", "auth_gssapi_hostname", "auth_krb5_keytab"), leave(_KERBEROS)),
    **dict.fromkeys(("auth_policy_check_after_auth", "auth_policy_check_before_auth", "auth_policy_hash_mech",
                     "auth_policy_hash_nonce", "auth_policy_hash_truncate", "auth_policy_log_only",
                     "auth_policy_reject_on_fail", "auth_policy_report_after_auth", "auth_policy_request_attributes",
                     "auth_policy_server_api_header", "auth_policy_server_timeout_msecs", "auth_policy_server_url"), leave(_POLICY)),
    "auth_proxy_self": leave(_OUTGOING),
    # mail
    "mail_privileged_group": fine,
    "mail_access_groups": leave("the workers' groups are those of mail.uid and mail.gid"),
    "mail_full_filesystem_access": same("no", why="mailbox names never lead out of the Maildir in MAS"),
    "mail_chroot": leave("MAS does not chroot; its unit confines it"),
    "valid_chroot_dirs": leave("MAS does not chroot; its unit confines it"),
    "mail_plugins": _mail_plugins,
    "first_valid_uid": _uid_range, "last_valid_uid": _uid_range, "first_valid_gid": _uid_range, "last_valid_gid": _uid_range,
    "mail_fsync": same("optimized", "always", why="MAS always makes mail durable before it says so"),
    "lock_method": fine, "mmap_disable": fine, "dotlock_use_excl": fine, "config_cache_size": fine,
    "process_shutdown_filter": leave(_PROCESSES), "rawlog_dir": leave(_LOG),
    "mail_nfs_storage": same("no", why="MAS wants a local file system"),
    "mail_nfs_index": same("no", why="MAS wants a local file system; INDEX= in mail.location puts the index elsewhere"),
    "mail_max_keyword_length": to("mail.max_keyword_length", number),
    "mail_max_lock_timeout": to("mail.lock_timeout", duration),
    "mail_debug": _debug,
    "mail_log_prefix": leave(_LOG),
    "mail_temp_dir": fine,
    "mail_temp_scan_interval": fine,
    "mail_save_crlf": same("no", why="MAS stores lines as Dovecot does by default, and sends CRLF"),
    "mail_server_admin": to("metadata.server_admin"),
    "mail_server_comment": to("metadata.server_comment"),
    "mail_attribute_dict": leave("annotations (METADATA) are files beside mailboxes in MAS; Dovecot's own are not carried over"),
    "mail_shared_explicit_inbox": leave("MAS has no shared namespaces"),
    **dict.fromkeys(("mail_attachment_dir", "mail_attachment_fs", "mail_attachment_hash", "mail_attachment_min_size",
                     "mail_attachment_detection_options"),
                    leave("MAS keeps attachments in their messages")),
    **dict.fromkeys(("mail_always_cache_fields", "mail_never_cache_fields", "mail_cache_fields", "mail_cache_min_mail_count",
                     "mail_sort_max_read_count", "mail_prefetch_count", "mail_vsize_bg_after_count", "mailbox_list_index",
                     "mailbox_list_index_include_inbox", "mailbox_list_index_very_dirty_syncs", "mail_index_rewrite_max_log_bytes",
                     "mailbox_idle_check_interval"), leave(_INDEX)),
    "maildir_stat_dirs": fine,
    "maildir_copy_with_hardlinks": same("yes", why="MAS copies by hard links"),
    "maildir_very_dirty_syncs": fine,
    "maildir_broken_filename_sizes": same("no", why="MAS takes the sizes in file names as they are"),
    "maildir_empty_new": fine,
    "quota_full_tempfail": to("lmtp.quota_full_tempfail", boolean),
    # LMTP and the delivery agent
    "postmaster_address": _postmaster,
    "recipient_delimiter": _delimiter,
    "lda_mailbox_autocreate": _plain_or_yes("lmtp.mailbox_autocreate"),
    "lda_mailbox_autosubscribe": _plain_or_yes("lmtp.mailbox_autosubscribe"),
    "lda_original_recipient_header": leave("MAS takes the original recipient from LMTP (ORCPT) alone"),
    "rejection_subject": same("rejected: %s", why="MAS's rejections have a fixed text"),
    "rejection_reason": same("your message to <%t> was automatically rejected:%n%r", why="MAS's rejections have a fixed text"),
    "sendmail_path": _sendmail,
    "submission_host": _submission_host,
    "submission_ssl": fine,
    "submission_timeout": leave("MAS waits as long as its queue for outgoing mail says"),
    "lmtp_save_to_detail_mailbox": _plain_or_yes("lmtp.save_to_detail_mailbox"),
    "lmtp_rcpt_check_quota": _plain_or_yes("lmtp.rcpt_check_quota"),
    "lmtp_add_received_header": _plain_or_yes("lmtp.add_received_header"),
    "lmtp_hdr_delivery_address": _hdr_address,
    "lmtp_user_concurrency_limit": to("lmtp.user_concurrency_limit", number),
    "lmtp_proxy": same("no", why=_OUTGOING),
    "lmtp_client_workarounds": leave("MAS's LMTP needs no workarounds for Postfix"),
    "lmtp_verbose_replies": fine,
    "lmtp_rawlog_dir": leave(_LOG),
    "deliver_log_format": leave(_LOG),
    # IMAP and ManageSieve
    "mail_max_userip_connections": _user_ip_connections,
    "imap_max_line_length": to("imap.max_line", size),
    "imap_idle_notify_interval": to("imap.idle_notify_interval", duration),
    "imap_capability": _capability,
    "imap_id_send": leave("MAS answers ID with its own name"),
    "imap_id_log": leave("MAS logs no ID"),
    "imap_id_retain": fine,
    "imap_logout_format": leave(_LOG),
    "imap_client_workarounds": leave("MAS shows new mail at once and takes names as the RFC says"),
    "imap_fetch_failure": leave("an unreadable message is NO in MAS, and the session goes on"),
    "imap_hibernate_timeout": leave("an idle session costs MAS some 35 KB: nothing to hibernate"),
    "imap_metadata": to("metadata.enabled", boolean),
    "imap_literal_minus": same("no", why="MAS offers LITERAL+"),
    **dict.fromkeys(("imap_urlauth_host", "imap_urlauth_logout_format", "imap_urlauth_port"), leave("MAS has no URLAUTH")),
    "managesieve_max_line_length": to("managesieve.max_line_length", size),
    "managesieve_implementation_string": to("managesieve.implementation"),
    "managesieve_max_compile_errors": to("managesieve.max_compile_errors", number),
    "managesieve_logout_format": to("managesieve.logout_format"),
    "managesieve_sieve_capability": _managesieve_capability,
    "managesieve_notify_capability": to("managesieve.notify_capability"),
    "managesieve_client_workarounds": leave("MAS has no such workarounds"),
    # logs
    **dict.fromkeys(("log_path", "info_log_path", "debug_log_path"), same("syslog", "/dev/stderr", "", why=_LOG)),
    "syslog_facility": same("mail", why=_LOG),
    "log_timestamp": leave(_LOG),
    "login_log_format_elements": leave(_LOG),
    "login_log_format": leave(_LOG),
    # what MAS is not
    "dict_db_config": fine,
    **dict.fromkeys(("doveadm_allowed_commands", "doveadm_api_key", "doveadm_http_rawlog_dir", "doveadm_password", "doveadm_port",
                     "doveadm_socket_path", "doveadm_ssl", "doveadm_username", "doveadm_worker_count"), leave(_DOVEADM)),
    **dict.fromkeys(("dsync_alt_char", "dsync_commit_msgs_interval", "dsync_features", "dsync_hashed_headers", "dsync_remote_cmd",
                     "replication_dsync_parameters", "replication_full_sync_interval", "replication_max_conns",
                     "replicator_host", "replicator_port"), leave(_REPLICATION)),
    **dict.fromkeys(("stats_http_rawlog_dir", "stats_writer_socket_path"), leave("there is [metrics] for Prometheus")),
}  # fmt: skip

FAMILIES: tuple[tuple[str, Handler], ...] = (
    ("pop3", leave(_POP3)),
    ("submission_", leave("submission is Postfix's in a host with MAS")),
    ("mbox_", leave(_MBOX)),
    ("mdbox_", leave(_MBOX)),
    ("imapc_", leave(_OUTGOING)),
    ("director_", leave("MAS is no proxy for other servers")),
    ("old_stats_", leave("there is [metrics] for Prometheus")),
    ("fts", leave("MAS's search needs no plugin")),
    ("oauth2_", leave("see [auth] for OAuth in MAS")),
)
"""Prefixes of settings that have one answer."""

PER_PROTOCOL: Mapping[str, tuple[str, ...]] = {
    "imap": ("imap_", "mail_max_userip_connections"),
    "lmtp": ("lmtp_", "lda_", "postmaster_address", "hostname", "recipient_delimiter", "quota_full_tempfail", "sendmail_path",
             "submission_host", "submission_ssl", "rejection_"),
    "lda": ("lda_", "postmaster_address", "hostname", "recipient_delimiter", "quota_full_tempfail", "sendmail_path",
            "submission_host", "submission_ssl", "rejection_"),
    "sieve": ("managesieve_", "mail_max_userip_connections"),
}  # fmt: skip
"""Prefixes of the settings that are only asked for in this protocol, so that they are global for MAS."""


def handler_of(key: str) -> Handler | None:
    """The handler of a plain setting; None when nobody knows it."""
    if found := TABLE.get(key):
        return found
    return next((handler for prefix, handler in FAMILIES if key.startswith(prefix)), None)


DEFAULTS: Mapping[str, Any] = {
    "auth.mechanisms": ("PLAIN",),
    "auth.cache_size": 0,
    "imap.max_user_ip_connections": 10,
    "lmtp.rcpt_check_quota": False,
    "lmtp.user_concurrency_limit": 0,
    "quota.max_mail_size": 0,
    "sieve.default": "",
    "sieve.global_dir": "",
    "sieve.vacation_use_original_recipient": False,
    "tls.prefer_server_ciphers": False,
}
"""What Dovecot does when it is told nothing, where MAS does something else."""

DEFAULTS_24: Mapping[str, Any] = {
    "lmtp.user_concurrency_limit": 10,
    "quota.grace": "10M",
}
"""The same of 2.4, where it is another than 2.3's."""
