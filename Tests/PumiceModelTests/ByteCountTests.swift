import PumiceModel
import Testing

struct ByteCountTests {
  @Test func countsInPowersOfTwo() {
    #expect(ByteCount.gibibytes(1).bytes == 1_073_741_824)
    #expect(ByteCount.mebibytes(1024) == .gibibytes(1))
    #expect(ByteCount.gibibytes(8_589_934_591).bytes > 0)
  }

  @Test func roundsUpToWholeGibibytes() {
    #expect(ByteCount.zero.gibibytesRoundedUp == 0)
    #expect(ByteCount(1).gibibytesRoundedUp == 1)
    #expect(ByteCount.gibibytes(3).gibibytesRoundedUp == 3)
    #expect((ByteCount.gibibytes(3) + ByteCount(1)).gibibytesRoundedUp == 4)
    #expect(ByteCount(.max).gibibytesRoundedUp == 8_589_934_592)
  }

  @Test func scalingNeverOverflows() {
    #expect(ByteCount(.max).scaled(by: 20) == ByteCount(.max))
    #expect(ByteCount.gibibytes(100).scaled(by: 1.5) == .gibibytes(150))
    #expect(ByteCount(3).scaled(by: 0.5) == ByteCount(1))
  }

  @Test(arguments: [
    (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (10 << 30, "10 GiB"), (-(10 << 30), "-10 GiB"),
    (1 << 40, "1 TiB"), (Int64.max, "8 EiB"),
  ])
  func printsWithTheUnitThatFits(_ bytes: Int64, _ text: String) {
    #expect(ByteCount(bytes).description == text)
  }
}
