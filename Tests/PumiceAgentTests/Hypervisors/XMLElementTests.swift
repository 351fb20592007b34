import PumiceModel
import Testing

@testable import PumiceAgent

@Suite struct XMLElementTests {
  @Test(arguments: ["domain-live.xml", "domain-live-with-iscsi.xml", "domain-inactive-with-iscsi.xml"])
  func whatIsReadAndWrittenSaysTheSame(fixture: String) throws {
    let element = try XMLElement(parsing: domainFixture(fixture), as: "The fixture")
    let again = try XMLElement(parsing: element.serialized(), as: "The copy")
    #expect(again == element)
    #expect(element.first("devices")?.elements("controller").count == 12)
  }

  @Test func everythingThatIsNotOursGoesThrough() throws {
    let text = """
      <domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' type='kvm'>
        <!-- by hand --><?note keep me?>
        <metadata>
          <nova:instance xmlns:nova="urn:nova" xmlns="urn:other" nova:a="1" xml:lang="de"><x/></nova:instance>
        </metadata>
        <description>&lt;tag&gt; &amp; &quot;quotes&quot; &#228;ö 漢 😀 <![CDATA[<raw> & so]]> tail</description>
        <title a="line&#10;break&#9;tab 'single' &quot;double&quot; &lt;"/>
        <qemu:commandline><qemu:arg value='-s'/></qemu:commandline>
      </domain>
      """
    let element = try XMLElement(parsing: text, as: "The domain")
    #expect(element.first("description")?.text == "<tag> & \"quotes\" äö 漢 😀 <raw> & so tail")
    #expect(element.first("title")?["a"] == "line\nbreak\ttab 'single' \"double\" <")
    #expect(element.first("metadata", "nova:instance")?["xml:lang"] == "de")
    #expect(element.first("metadata", "nova:instance")?["xmlns"] == "urn:other")
    #expect(element["xmlns:qemu"] == "http://libvirt.org/schemas/domain/qemu/1.0")
    #expect(element.children.contains(.comment(" by hand ")))
    #expect(element.children.contains(.instruction(target: "note", content: "keep me")))
    #expect(try XMLElement(parsing: element.serialized(), as: "The copy") == element)
  }

  @Test func randomTreesSurviveWritingAndReading() throws {
    var dice = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      let element = XMLElement.random(depth: 5, using: &dice)
      let text = try element.serialized()
      #expect(try XMLElement(parsing: text, as: "The copy") == element, "\(text)")
    }
  }

  @Test(arguments: [
    "", "   ", "not xml", "<domain>", "<domain></domian>", "<a/><b/>", "<a b=c/>", "<a b='1' b='2'/>",
    "<a>&undefined;</a>",
    "<a>&#0;</a>", "<a>\u{0}</a>", "<a>\u{1}</a>", "<p:a/>x", "<a", "\u{FEFF}", "<a>]]></a>",
  ])
  func brokenXMLIsRefused(text: String) {
    #expect(throws: StorageError.self) { try XMLElement(parsing: text, as: "The text") }
  }

  @Test(arguments: [
    "<!DOCTYPE a><a/>",
    "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
    "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
    "<!DOCTYPE a [<!ENTITY x 'y'>]><a b='&x;'/>",
    "<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://127.0.0.1:1/'> %p;]><a/>",
  ])
  func noDocumentTypeIsRead(text: String) throws {
    let error = #expect(throws: StorageError.self) { try XMLElement(parsing: text, as: "The text") }
    #expect(error?.message.contains("document type declaration") == true)
  }

  @Test(.timeLimit(.minutes(1))) func aBillionLaughsAreRefusedAtOnce() {
    let entities = (1...12).map { "<!ENTITY l\($0) \"\(String(repeating: "&l\($0 - 1);", count: 10))\">" }
    let text = "<!DOCTYPE a [<!ENTITY l0 \"lol\">\(entities.joined())]><a b=\"&l12;\">&l12;</a>"
    #expect(throws: StorageError.self) { try XMLElement(parsing: text, as: "The text") }
  }

  @Test func inclusionsAreLeftAlone() throws {
    let text = "<a xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='/etc/passwd' parse='text'/></a>"
    let element = try XMLElement(parsing: text, as: "The text")
    #expect(element.first("xi:include")?.children.isEmpty == true)
    #expect(element.text.isEmpty)
  }

  @Test(arguments: [65, 300, 100_000])
  func whatIsTooDeepIsRefused(depth: Int) {
    let text = String(repeating: "<a>", count: depth) + String(repeating: "</a>", count: depth)
    #expect(throws: StorageError.self) { try XMLElement(parsing: text, as: "The text") }
  }

  @Test func whatIsTooLargeIsRefused() {
    let text = "<a>" + String(repeating: "x", count: XMLElement.maximumSize) + "</a>"
    #expect(throws: StorageError.self) { try XMLElement(parsing: text, as: "The text") }
  }

  @Test(arguments: ["\u{0}", "a\u{1}b", "\u{FFFE}"])
  func whatXMLCantCarryIsNotWritten(text: String) {
    let error = #expect(throws: StorageError.self) { try XMLElement("serial", text: text).serialized() }
    #expect(error?.code == .invalid)
    #expect(throws: StorageError.self) { try XMLElement("iqn", ["name": text]).serialized() }
  }

  @Test func valuesCantBreakOutOfTheirPlace() throws {
    let hostile = "'/><disk/>\"></a><!-- ]]> &amp; -->"
    let text = try XMLElement("a", ["b": hostile], [XMLElement("c", text: hostile)]).serialized()
    let element = try XMLElement(parsing: text, as: "The copy")
    #expect(element["b"] == hostile)
    #expect(element.elements.map(\.name) == ["c"])
    #expect(element.first("c")?.text == hostile)
  }
}

extension XMLElement {
  /// A tree as `init(parsing:as:)` might give it: no text beside text, no white space that a parser may change.
  fileprivate static func random(depth: Int, using dice: inout some RandomNumberGenerator) -> XMLElement {
    let names = ["disk", "source", "p:x", "a.b-c"]
    var element = XMLElement(
      names.randomElement(using: &dice) ?? "a", ["xmlns:p": "urn:p", "k": randomText(using: &dice)])
    for _ in 0..<(depth == 0 ? 0 : Int.random(in: 0...4, using: &dice)) {
      switch Int.random(in: 0...3, using: &dice) {
      case 0: element.children.append(.comment("note"))
      case 1:
        if case .text = element.children.last { continue }
        element.children.append(.text("t" + randomText(using: &dice)))
      default: element.children.append(.element(random(depth: depth - 1, using: &dice)))
      }
    }
    return element
  }

  private static func randomText(using dice: inout some RandomNumberGenerator) -> String {
    let parts = ["<", ">", "&", "'", "\"", "ä", "漢", "😀", "\n", "\t", "\r", " ", "]]>", "x", "&amp;", "%"]
    return (0..<Int.random(in: 0...6, using: &dice)).compactMap { _ in parts.randomElement(using: &dice) }.joined()
  }
}
