import PumiceModel
import PumiceWire
import Testing

@Suite struct WireJSONTests {
  private func decode<Value: Decodable>(_ type: Value.Type, _ text: String) -> StorageError? {
    do throws(StorageError) {
      _ = try WireJSON.decode(type, from: Array(text.utf8))
      return nil
    } catch {
      return error
    }
  }

  @Test func largeNumbersKeepEveryDigit() throws {
    let report = NodeReport(
      name: "n", version: "1", address: "a", availabilityZone: "z", inventoryDigest: 0xFEDC_BA98_7654_3211)
    #expect(try WireJSON.decode(NodeReport.self, from: try WireJSON.encode(report)) == report)
    let volume = Inventory.StoredVolume(id: .random(), backend: "b", pool: "p", size: ByteCount(.max))
    #expect(try WireJSON.decode(Inventory.StoredVolume.self, from: try WireJSON.encode(volume)) == volume)
  }

  @Test func equalValuesAreEqualBytes() throws {
    let names = (0..<50).map { "key-\($0)" }
    let one = Dictionary(uniqueKeysWithValues: names.map { ($0, $0) })
    let other = Dictionary(uniqueKeysWithValues: names.reversed().map { ($0, $0) })
    #expect(try WireJSON.encode(one) == WireJSON.encode(other))
  }

  @Test func aMissingFieldIsNamedWithItsPath() {
    let error = decode(
      VolumeRequest.self, #"{"revision": 1, "backend": "b", "pool": "p", "size": 1, "description": {}}"#)
    #expect(error?.code == .invalid)
    #expect(error?.field == "description.name")
    #expect(error?.message == "description.name is missing.")
  }

  @Test func anElementIsNamedWithItsIndex() {
    #expect(
      decode(Inventory.self, #"{"volumes": [], "snapshots": [], "exports": [{"attachment": "x"}], "connections": []}"#)?
        .field
        == "exports[0].attachment")
  }

  @Test func fieldsThatNobodyKnowsArePassedOver() {
    #expect(decode(ExportRemoval.self, #"{"revision": 1, "novelty": true}"#) == nil)
  }

  @Test(arguments: ["", "{", "nul", "\u{0}", "{\"revision\": 1,}}"]) func brokenJSONIsInvalid(text: String) {
    #expect(decode(ExportRemoval.self, text)?.field == "body")
  }

  @Test func messagesNeverHaveTheValue() {
    let error = decode(ExportedTarget.self, #"{"chapSecret": {"open": "sesame"}, "protocolName": 7}"#)
    #expect(error?.message.contains("sesame") == false)
    let uuid = decode(ConnectionRemoval.self, #"{"revision": 1, "instance": "open-sesame"}"#)
    #expect(uuid?.field == "instance")
    #expect(uuid?.description.contains("sesame") == false)
  }
}
