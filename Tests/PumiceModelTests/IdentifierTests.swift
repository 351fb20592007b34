import PumiceModel
import Testing

struct IdentifierTests {
  @Test func writesAndReadsTheSameUUID() throws {
    let text = "0f8fad5b-d9cb-469f-a165-70867728950e"
    let id = try #require(VolumeID(text))
    #expect(id.description == text)
    #expect(id.high == 0x0f8f_ad5b_d9cb_469f && id.low == 0xa165_7086_7728_950e)
  }

  @Test func readsUpperCaseAndNoHyphens() {
    let id = VolumeID("0f8fad5b-d9cb-469f-a165-70867728950e")
    #expect(VolumeID("0F8FAD5B-D9CB-469F-A165-70867728950E") == id)
    #expect(VolumeID("0f8fad5bd9cb469fa16570867728950e") == id)
  }

  @Test(arguments: [
    "", "x", "0f8fad5b-d9cb-469f-a165-70867728950", "0f8fad5b-d9cb-469f-a165-70867728950g",
    "0f8fad5bd-9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950e ",
    "{0f8fad5bd9cb469fa16570867728950e", "0f8fad5b\u{0}d9cb-469f-a165-70867728950e",
    "０f8fad5b-d9cb-469f-a165-70867728950e",
  ])
  func refusesWhatIsNoUUID(_ text: String) {
    #expect(VolumeID(text) == nil)
  }

  @Test func randomOnesAreVersion4AndDiffer() {
    var dice = SplitMix64(seed: 1)
    let ids = (0..<1000).map { _ in VolumeID(using: &dice) }
    #expect(Set(ids).count == 1000)
    for id in ids {
      let text = Array(id.description)
      #expect(text[14] == "4")
      #expect("89ab".contains(text[19]))
      #expect(VolumeID(id.description) == id)
    }
  }

  @Test func equalDiceGiveEqualIdentities() {
    var left = SplitMix64(seed: 7)
    var right = SplitMix64(seed: 7)
    #expect(VolumeID(using: &left) == VolumeID(using: &right))
  }

  @Test func sortsAsItsTextDoes() {
    var dice = SplitMix64(seed: 2)
    let ids = (0..<100).map { _ in VolumeID(using: &dice) }
    #expect(ids.sorted().map(\.description) == ids.map(\.description).sorted())
  }

  @Test func poolNamesReadAsCinderWritesThem() {
    #expect(PoolName("node1@lvm#vg") == .vg1)
    #expect(PoolName.vg1.description == "node1@lvm#vg")
    #expect(PoolName("a@b@lvm#vg")?.node == "a@b")
    #expect(PoolName("n@lvm#a#b")?.pool == "a#b")
  }

  @Test(arguments: ["", "node", "node@lvm", "node#vg", "@lvm#vg", "node@#vg", "node@lvm#", "node#vg@lvm"])
  func refusesWhatIsNoPoolName(_ text: String) {
    #expect(PoolName(text) == nil)
  }
}
