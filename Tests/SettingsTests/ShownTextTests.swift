import Failures
import Testing

@Suite struct ShownTexts {
    /// A marker where each kind of address may have a secret.
    static let addresses = [
        "https://user:MARKER@host/a.tar", "https://MARKER@host/a.tar", "http://host/a.tar?token=MARKER",
        "https://host/x-{0..3}.tar?X-Amz-Signature=MARKER&b=1", "https://host/a.tar#MARKER",
        "s3://KEY:MARKER@bucket/a.tar",
        "s3://bucket/a.tar?sig=MARKER", "ftp://user:MARKER@host/a.tar", "https://user:MAR/KER@host/MARKER@/a.tar",
        "https://user:pa'MARKER@host/a.tar", "{https://u:MARKER@h/a.tar,https://u:MARKER@h/b.tar}",
        "https://u:MARKER@h:8443/{a,b}.tar", "pipe:TOKEN=MARKER cat a.tar", "pipe:curl -H 'X: MARKER' https://h/a.tar",
        "pipe:curl -u user:MARKER https://h/a.tar?t=MARKER | cat", "pipe:aws --key MARKER s3 cp s3://b/a.tar -",
        "pipe:'MARKER' cat", "pipe:$(echo MARKER) cat a.tar",
    ]

    @Test(arguments: addresses)
    func `a secret is hidden wherever its address stands, and what is hidden stays as it is`(address: String) {
        for text in [
            address, "error: --set webdataset_path=\(address): not a path, got '\(address)'",
            "[\(address), \(address)]",
            "key: \"\(address)\"\nother: \(address)",
        ] {
            let shown = ShownText.withoutSecrets(text)
            #expect(!shown.contains("MAR") && !shown.contains("KER"), "\(shown)")
            #expect(ShownText.withoutSecrets(shown) == shown)
        }
    }

    @Test(arguments: [
        ("https://host:8443/a/b@2x.tar, expected a tar", "https://host:8443/a/b@2x.tar, expected a tar"),
        ("'https://host/a?x=1', got 'b'", "'https://host/a?…', got 'b'"),
        ("https://h/x.tar?…[0a1b2c3d]/key is cut", "https://h/x.tar?…[0a1b2c3d]/key is cut"),
        ("https://u:p@[::1]:80/x (2)", "https://[::1]:80/x (2)"),
        ("s3://bucket/a/b.tar: gone", "s3://bucket/a/b.tar: gone"),
        ("pipe:cat a/b.tar: the command ended", "pipe:cat a/b.tar: the command ended"),
        ("pipe:curl … x.tar[0a1b2c3d]: status 1, got 2", "pipe:curl … x.tar[0a1b2c3d]: status 1, got 2"),
        ("pipe:cat a.tar x", "pipe:cat a.tar …"), ("a pipe: of wood", "a pipe: of wood"),
        ("bagpipe:x y", "bagpipe:x y"),
        ("file:a.tar and C:\\x", "file:a.tar and C:\\x"),
    ])
    func `what is no secret stays`(text: String, shown: String) {
        #expect(ShownText.withoutSecrets(text) == shown)
    }

    @Test func `control characters are written out`() {
        #expect(ShownText.escaped("a\u{1B}]0;x\u{7}b\nc\td") == "a\\u001b]0;x\\u0007b\\u000ac\td")
        #expect(ShownText.escaped("\u{9B}31m\u{7F}\u{202E}\u{2028}") == "\\u009b31m\\u007f\\u202e\\u2028")
        #expect(ShownText.escaped("caf\u{E9} \u{1F600} \u{200D}") == "caf\u{E9} \u{1F600} \u{200D}")
    }
}
