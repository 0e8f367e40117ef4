import Testing

@testable import Web

@Suite struct XMLTests {
    @Test func `elements, entities, comments and attributes`() throws {
        let text = """
            <?xml version="1.0"?><!-- c --><a x="1>2" y='"'><b>1 &lt;&amp;&gt;&quot;&apos;&#233;&#x1F415;</b><c/>\
            t<![CDATA[<d>]]><e:f >é</e:f ></a>
            """
        let root = try #require(XMLElement(Array(text.utf8)))
        #expect(root.name == "a" && root.text == "t<d>")
        #expect(root.children.map(\.name) == ["b", "c", "e:f"])
        #expect(root["b"] == "1 <&>\"'é🐕" && root["c"] == "" && root["e:f"] == "é" && root["none"] == nil)
    }

    @Test(arguments: [
        "", " ", "text", "<a>", "<a></b>", "<a", "<a x='>", "<a>&nbsp;</a>", "<a>&#xD800;</a>", "<a>&amp</a>",
        "<a/><b/>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<a><!-- </a>", "<a></aa>", "<>x</>", "\u{FEFF}",
        "<a>&#99999999999;</a>", "<?xml", "<a><![CDATA[</a>", String(repeating: "<a>", count: 100_000),
        String(repeating: "<a>", count: 17) + String(repeating: "</a>", count: 17),
    ])
    func `what is no XML, or too deep, is nothing`(text: String) {
        #expect(XMLElement(Array(text.utf8)) == nil)
    }

    @Test func `bytes that are no text are nothing`() {
        #expect(XMLElement([0x3C, 0xFF, 0x3E]) == nil)
    }
}
