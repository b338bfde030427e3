//! The hosts of a URL.

use tokio_postgres::Config;
use tokio_postgres::config::{Host, TargetSessionAttrs};

/// One configuration for each host. Of several hosts, only the one that accepts writes lets itself be used.
pub(super) fn one_by_one(config: &Config) -> Vec<Config> {
    match config.get_hosts().len() {
        1 => vec![config.clone()],
        several => (0..several).map(|host| of_host(config, host)).collect(),
    }
}

/// The client has no way to take hosts out of a configuration, so all the rest is copied.
fn of_host(all: &Config, host: usize) -> Config {
    let mut one = Config::new();
    if let Some(user) = all.get_user() {
        one.user(user);
    }
    if let Some(password) = all.get_password() {
        one.password(password);
    }
    if let Some(database) = all.get_dbname() {
        one.dbname(database);
    }
    if let Some(options) = all.get_options() {
        one.options(options);
    }
    if let Some(name) = all.get_application_name() {
        one.application_name(name);
    }
    if let Some(timeout) = all.get_connect_timeout() {
        one.connect_timeout(*timeout);
    }
    if let Some(timeout) = all.get_tcp_user_timeout() {
        one.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = all.get_keepalives_interval() {
        one.keepalives_interval(interval);
    }
    if let Some(retries) = all.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    one.ssl_mode(all.get_ssl_mode())
        .ssl_negotiation(all.get_ssl_negotiation())
        .keepalives(all.get_keepalives())
        .keepalives_idle(all.get_keepalives_idle())
        .channel_binding(all.get_channel_binding())
        .load_balance_hosts(all.get_load_balance_hosts())
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    match &all.get_hosts()[host] {
        Host::Tcp(name) => one.host(name),
        #[cfg(unix)]
        Host::Unix(path) => one.host_path(path),
    };
    if let Some(address) = all.get_hostaddrs().get(host) {
        one.hostaddr(*address);
    }
    // One port may be that of all hosts.
    let ports = all.get_ports();
    if let Some(port) = ports.get(host).or(ports.first()) {
        one.port(*port);
    }
    one
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn all_but_the_hosts_is_the_same_for_each() {
        let rest = "d?options=o&application_name=n&sslmode=require&connect_timeout=3&tcp_user_timeout=4&keepalives=1\
                    &keepalives_idle=5&keepalives_interval=6&keepalives_retries=7&channel_binding=require\
                    &load_balance_hosts=random";
        let read = |hosts: &str, rest: &str| -> Config {
            format!("postgres://u:p@{hosts}/{rest}").parse().unwrap()
        };
        let several = format!("{rest}&hostaddr=10.0.0.1&hostaddr=10.0.0.2&hostaddr=10.0.0.3");
        let several = one_by_one(&read("a:1,[::1],%2Frun", &several));
        assert_eq!(several.len(), 3);
        for (one, host) in several.iter().zip(["a:1", "[::1]", "%2Frun"]) {
            let mut alone = read(host, rest);
            alone.target_session_attrs(TargetSessionAttrs::ReadWrite);
            alone.hostaddr(one.get_hostaddrs()[0]);
            assert_eq!(format!("{one:?}"), format!("{alone:?}"));
            assert_eq!(one.get_password(), Some(&b"p"[..]));
        }
        assert_eq!(
            several[1].get_hostaddrs(),
            ["10.0.0.2".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(several[1].get_ports(), [5432]);
    }

    #[test]
    fn one_host_may_be_a_standby() {
        let one = one_by_one(&"postgres://u@a/d".parse().unwrap());
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].get_target_session_attrs(), TargetSessionAttrs::Any);
    }
}
