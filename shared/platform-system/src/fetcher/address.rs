//! Which addresses may be reached.
//!
//! What counts is the address that a connection is made to, after the name has been resolved: a name, an odd spelling
//! (`0x7f.1`, `2130706433`) or a redirect is checked by what it comes to. An IPv4 address within an IPv6 one is judged as
//! what it leads to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which special addresses may be reached. Public and private ones always may; broadcast and multicast ones never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressRules {
    /// `127.0.0.0/8` and `::1`. On Lambda the Runtime API is there.
    pub loopback: bool,
    /// `0.0.0.0/8` and `::`, which reach the machine itself.
    pub unspecified: bool,
    /// `169.254.0.0/16`, `fe80::/10`, and the addresses outside of them where clouds serve metadata and credentials.
    pub link_local: bool,
}

/// What an address is to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ordinary,
    Loopback,
    Unspecified,
    LinkLocal,
    Never,
}

impl AddressRules {
    /// Whether `address` may be connected to.
    #[must_use]
    pub fn allow(&self, address: IpAddr) -> bool {
        let kind = match address {
            IpAddr::V4(address) => kind_v4(address),
            IpAddr::V6(address) => kind_v6(address),
        };
        match kind {
            Kind::Ordinary => true,
            Kind::Loopback => self.loopback,
            Kind::Unspecified => self.unspecified,
            Kind::LinkLocal => self.link_local,
            Kind::Never => false,
        }
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    /// Azure's and Alibaba's metadata services.
    const METADATA: [Ipv4Addr; 2] = [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200)];
    if address.is_loopback() {
        Kind::Loopback
    } else if address.octets()[0] == 0 {
        Kind::Unspecified
    } else if address.is_link_local() || METADATA.contains(&address) {
        Kind::LinkLocal
    } else if address.is_broadcast() || address.is_multicast() {
        Kind::Never
    } else {
        Kind::Ordinary
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    let segments = address.segments();
    if address.is_loopback() {
        return Kind::Loopback;
    }
    if address.is_unspecified() {
        return Kind::Unspecified;
    }
    if let Some(address) = embedded_v4(segments) {
        return kind_v4(address);
    }
    match segments {
        // Link-local; AWS's metadata, credentials, time and names; Google's metadata.
        [0xfe80..=0xfebf, ..] | [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => {
            Kind::LinkLocal
        }
        [0xff00..=0xffff, ..] => Kind::Never,
        _ => Kind::Ordinary,
    }
}

/// The IPv4 address that an IPv6 one leads to: mapped, compatible, translated, NAT64, 6to4.
fn embedded_v4(segments: [u16; 8]) -> Option<Ipv4Addr> {
    let ([0, 0, 0, 0, 0, 0 | 0xffff, high, low]
    | [0, 0, 0, 0, 0xffff, 0, high, low]
    | [0x0064, 0xff9b, _, _, _, _, high, low]
    | [0x2002, high, low, ..]) = segments
    else {
        return None;
    };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::{Host, Url};

    const NONE: AddressRules = AddressRules { loopback: false, unspecified: false, link_local: false };

    /// The address that a URL's host spells, as the fetcher reads it.
    fn address(host: &str) -> IpAddr {
        match Url::parse(&format!("http://{host}/")).unwrap().host().unwrap() {
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
            Host::Domain(name) => panic!("{host} is the name {name}"),
        }
    }

    #[test]
    fn no_spelling_of_a_denied_address_passes() {
        for (kind, hosts) in [
            (
                Kind::Loopback,
                &[
                    "127.0.0.1",
                    "127.1",
                    "127.255.255.254",
                    "0x7f.0.0.1",
                    "0x7f000001",
                    "0X7F.1",
                    "0177.0.0.1",
                    "017700000001",
                    "2130706433",
                    "127.0.1",
                    "127.0.0.1.",
                    "①②⑦.0.0.1",
                    "127%2e0%2e0%2e1",
                    "[::1]",
                    "[0:0:0:0:0:0:0:1]",
                    "[::ffff:127.0.0.1]",
                    "[::ffff:7f00:1]",
                    "[::127.0.0.1]",
                    "[::ffff:0:127.0.0.1]",
                    "[64:ff9b::127.0.0.1]",
                    "[64:ff9b:1::7f00:1]",
                    "[2002:7f00:1::]",
                    "[2002:7f00:0001:1:2:3:4:5]",
                ][..],
            ),
            (
                Kind::LinkLocal,
                &[
                    "169.254.169.254",
                    "169.254.170.2",
                    "169.254.170.23",
                    "169.254.0.1",
                    "0xa9.254.169.254",
                    "0xa9fea9fe",
                    "0251.0376.0251.0376",
                    "025177524776",
                    "2852039166",
                    "169.16689662",
                    "169.254.43518",
                    "[::ffff:169.254.169.254]",
                    "[::ffff:a9fe:a9fe]",
                    "[::a9fe:a9fe]",
                    "[64:ff9b::a9fe:a9fe]",
                    "[2002:a9fe:a9fe::1]",
                    "[fe80::1]",
                    "[febf::1]",
                    "[fd00:ec2::254]",
                    "[fd00:0ec2::23]",
                    "[fd20:ce::254]",
                    "168.63.129.16",
                    "[::ffff:168.63.129.16]",
                    "100.100.100.200",
                ],
            ),
            (
                Kind::Unspecified,
                &[
                    "0.0.0.0",
                    "0",
                    "0x0",
                    "00",
                    "0.1.2.3",
                    "[::]",
                    "[::ffff:0.0.0.0]",
                    "[::ffff:0:0]",
                    "[2002::1]",
                ],
            ),
            (Kind::Never, &["255.255.255.255", "224.0.0.1", "0xe0000001", "[ff02::1]", "[::ffff:224.0.0.1]"]),
        ] {
            for host in hosts {
                let address = address(host);
                assert!(!NONE.allow(address), "{host} is {address}");
                let all = AddressRules { loopback: true, unspecified: true, link_local: true };
                assert_eq!(all.allow(address), kind != Kind::Never, "{host} is {address}");
                let without = match kind {
                    Kind::Loopback => AddressRules { loopback: false, ..all },
                    Kind::Unspecified => AddressRules { unspecified: false, ..all },
                    Kind::LinkLocal => AddressRules { link_local: false, ..all },
                    Kind::Ordinary | Kind::Never => all,
                };
                assert!(!without.allow(address), "{host} is {address}, which is no {kind:?}");
            }
        }
    }

    #[test]
    fn public_and_private_addresses_pass() {
        for host in [
            "8.8.8.8",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "1.0.0.0",
            "[2001:db8::1]",
            "[fd00::1]",
            "[fd00:ec1::254]",
            "[fec0::1]",
            "[::ffff:10.0.0.1]",
            "[2002:0808:0808::1]",
            "[64:ff9b::8.8.8.8]",
        ] {
            assert!(NONE.allow(address(host)), "{host}");
        }
    }
}
