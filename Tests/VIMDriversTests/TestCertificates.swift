/// Certificates made for these tests alone, valid for a hundred years; they open nothing.
enum TestCertificates {
    /// Self-signed, for 127.0.0.1 and localhost.
    static let loopback = """
        -----BEGIN CERTIFICATE-----
        MIIBnzCCAUWgAwIBAgIUGbX8yjVna6ZZDv9NjN33PjXst70wCgYIKoZIzj0EAwIw
        FjEUMBIGA1UEAwwLdmltLmV4YW1wbGUwIBcNMjYxMTIzMDYxMDQzWhgPMjEyNjEw
        MzAwNjEwNDNaMBYxFDASBgNVBAMMC3ZpbS5leGFtcGxlMFkwEwYHKoZIzj0CAQYI
        KoZIzj0DAQcDQgAEImgpqRlf5hAph2na4kkV7ELCTxxqHkSwilgtOBED8j3IkcqY
        3k6bYFMJCGpk8PPvWjjQRMuOTqu+ndrDjhDeV6NvMG0wHQYDVR0OBBYEFBzKUbWL
        xaYyvz5s8dS5btQtEwJBMB8GA1UdIwQYMBaAFBzKUbWLxaYyvz5s8dS5btQtEwJB
        MA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYcEfwAAAYIJbG9jYWxob3N0MAoG
        CCqGSM49BAMCA0gAMEUCIA7TwHe0+c7eW38gDDPeHLqs4Kn/lqUlGud8GqRB/81s
        AiEA4ihDIG2ISEMU8kUPNW/hrni7470CoQDOrYj8M7ryd+I=
        -----END CERTIFICATE-----
        """

    /// The key of ``loopback``.
    static let loopbackKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgakN89W41eRJmbH3O
        j6zNEMN69xxylYpepEM5gkpGqWGhRANCAAQiaCmpGV/mECmHadriSRXsQsJPHGoe
        RLCKWC04EQPyPciRypjeTptgUwkIamTw8+9aONBEy45Oq76d2sOOEN5X
        -----END PRIVATE KEY-----
        """

    /// Self-signed, for another host.
    static let other = """
        -----BEGIN CERTIFICATE-----
        MIIBoDCCAUegAwIBAgIUVXi4jKGWkGNk8NnKsOHH9EmUynUwCgYIKoZIzj0EAwIw
        GDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTAgFw0yNjExMjMwNjEwNDNaGA8yMTI2
        MTAzMDA2MTA0M1owGDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTBZMBMGByqGSM49
        AgEGCCqGSM49AwEHA0IABC/CERShvy0p4AcflsF33075wJKMDEai2XsKYOdcMpM+
        y+0nzzSlzhmZ2/rp3xRrTMvISFVjqr3wmnqYiZxOWG6jbTBrMB0GA1UdDgQWBBTt
        PF7noxx+cWbXbFIYXsKhXODgczAfBgNVHSMEGDAWgBTtPF7noxx+cWbXbFIYXsKh
        XODgczAPBgNVHRMBAf8EBTADAQH/MBgGA1UdEQQRMA+CDW90aGVyLmV4YW1wbGUw
        CgYIKoZIzj0EAwIDRwAwRAIgZRMI5Y2sA5ChzbEpzEKlvusZ9YZkVfcJBoyOlCrN
        W5sCIEVJbT79E8bVm6xOlY+CCzTJMiCnDJITMKuZvWRA7Qzl
        -----END CERTIFICATE-----
        """
}
