import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct JSONParserTests {
  private func parse(_ text: String) throws(StorageError) -> JSONValue { try parse(Array(text.utf8)) }

  private func parse(_ bytes: [UInt8]) throws(StorageError) -> JSONValue {
    try bytes.withUnsafeBufferPointer { buffer throws(StorageError) in try JSONParser.parse(buffer) }
  }

  @Test func everyKindOfValueIsRead() throws {
    let value = try parse(
      #" {"a": [1, -2, 1.0, 1e3, 12345678901234567890], "b": {"c": null, "d": true, "e": false}, "f": "x\n\u00e9\ud83d\ude00"} "#
    )
    #expect(
      value["a"].array == [
        .integer(1), .integer(-2), .number("1.0"), .number("1e3"), .number("12345678901234567890"),
      ])
    #expect(value["b"].object == ["c": .null, "d": .bool(true), "e": .bool(false)])
    #expect(value["f"] == .string("x\né😀"))
    #expect(try parse("[]") == .array([]))
    #expect(try parse("{}") == .object([:]))
  }

  @Test(
    "what is not JSON to the letter is refused",
    arguments: [
      "", " ", "{", "}", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "'a'", "01", "1.", ".5", "+1", "-", "1e", "tru",
      "nul", "NaN", "Infinity", "\"a", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\t\"", "{} {}",
      "[1] 2", "/* */ 1",
    ])
  func wrong(text: String) {
    #expect(throws: StorageError.self) { try parse(text) }
  }

  @Test func whatIsNotUTF8IsRefused() {
    #expect(throws: StorageError.self) { try parse([UInt8(ascii: "\""), 0xFF, UInt8(ascii: "\"")]) }
  }

  @Test func aDocumentOfAMillionBracketsIsRefusedAndNotFollowed() {
    for bracket in ["[", "{\"a\":"] {
      #expect(throws: StorageError.self) { try parse(String(repeating: bracket, count: 1_000_000)) }
    }
    let deep =
      String(repeating: "[", count: JSONParser.depthLimit) + String(repeating: "]", count: JSONParser.depthLimit)
    #expect(throws: Never.self) { try parse(deep) }
    #expect(throws: StorageError.self) { try parse("[" + deep + "]") }
  }

  @Test func theErrorNamesThePlace() {
    let error = #expect(throws: StorageError.self) { try parse(#"{"volume": tru}"#) }
    #expect(error?.field == "body")
    #expect(error?.message.contains("byte 14") == true, "\(error?.message ?? "")")
  }
}
