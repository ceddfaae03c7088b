/// Certificates of the tests only, valid from 2020 to 2120, each its own authority.
///
/// Their keys protect nothing.
enum TestCertificate {
    /// For `localhost`, 127.0.0.1 and ::1.
    static let loopback = (
        certificate: """
        -----BEGIN CERTIFICATE-----
        MIIBfjCCASWgAwIBAgIBATAKBggqhkjOPQQDAjAXMRUwEwYDVQQDDAx2ZWRldHRl
        IHRlc3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBcxFTATBgNV
        BAMMDHZlZGV0dGUgdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDYbVZ4O
        Je8HMMUFjCVQhtifuwXVDIaVs0ASRaxRmFccaHPKgLWFNRL/UEDTSUTpzRy9m15e
        8Ne+HXu8TXU1bj+jYDBeMA8GA1UdEwEB/wQFMAMBAf8wLAYDVR0RBCUwI4IJbG9j
        YWxob3N0hwR/AAABhxAAAAAAAAAAAAAAAAAAAAABMB0GA1UdDgQWBBTC2Il/q10T
        V/2VYp8U+Kkha2w15zAKBggqhkjOPQQDAgNHADBEAiAZiuRU9jqLxMQBriNQ7+rw
        5xOFDh75RS7RWoa7W9pFaQIgaVBGkqD3gobl1PEMWHzVHc2ueNUps8OmPLHzcUVh
        re4=
        -----END CERTIFICATE-----
        """,
        key: """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBUVLzi0jqX3ifvne
        aMQ2cKkFhidOQ56c24qQGLncf5GhRANCAAQ2G1WeDiXvBzDFBYwlUIbYn7sF1QyG
        lbNAEkWsUZhXHGhzyoC1hTUS/1BA00lE6c0cvZteXvDXvh17vE11NW4/
        -----END PRIVATE KEY-----
        """
    )

    /// For `elsewhere.example`.
    static let elsewhere = (
        certificate: """
        -----BEGIN CERTIFICATE-----
        MIIBaDCCAQ+gAwIBAgIBAjAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAllbHNld2hl
        cmUwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
        CWVsc2V3aGVyZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLXFAaaQVNn5g3Wy
        5z6TyXRqc3J+juK+ZtLwk03Xcp17H67fNSdNm+0u0CBTTtT2encyImRUOf7gsc+p
        RXaaEVGjUDBOMA8GA1UdEwEB/wQFMAMBAf8wHAYDVR0RBBUwE4IRZWxzZXdoZXJl
        LmV4YW1wbGUwHQYDVR0OBBYEFAQQRVz1bUhrImnod2eLUHvOypIBMAoGCCqGSM49
        BAMCA0cAMEQCIDFgNzWJqRugb8HrwkrYel/qwtqvI1DDM+izaQxnBqFaAiBa6/8r
        LdETvyunw4DL7ornRsYWmx9lb76QGzvqT+kleg==
        -----END CERTIFICATE-----
        """,
        key: """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgefv8VI+dFfWxl8zv
        NeqZo2PaggMW7BHD09swImpvf6GhRANCAAS1xQGmkFTZ+YN1suc+k8l0anNyfo7i
        vmbS8JNN13Kdex+u3zUnTZvtLtAgU07U9np3MiJkVDn+4LHPqUV2mhFR
        -----END PRIVATE KEY-----
        """
    )
}
