import Testing

@testable import pumice

struct TableTests {
  @Test func columnsAreAsWideAsTheirWidestCell() {
    var table = Table([.init("NAME"), .init("GIB", .right), .init("STATUS")])
    table.append(["db", "10", "available"])
    table.append(["a-longer-name", "2000", "in-use"])
    #expect(
      table.text == """
        NAME            GIB  STATUS
        db               10  available
        a-longer-name  2000  in-use
        """)
  }

  @Test func emptyCellsShowADashAndLinesEndWithoutSpaces() {
    var table = Table([.init("A"), .init("LONG HEADING")])
    table.append(["", ""])
    #expect(table.text == "A  LONG HEADING\n-  -")
  }

  @Test func widthsCountCharactersNotBytes() {
    var table = Table([.init("NAME"), .init("X")])
    table.append(["größe", "1"])
    table.append(["plain", "2"])
    #expect(table.text == "NAME   X\ngröße  1\nplain  2")
  }

  @Test(arguments: [
    ("a\u{1B}[31mb", "a\u{FFFD}[31mb"), ("a\r\nb", "a\u{FFFD}\u{FFFD}b"), ("a\u{202E}b", "a\u{FFFD}b"),
    ("a\u{0}b\u{9B}c", "a\u{FFFD}b\u{FFFD}c"), ("größe 👩‍💻", "größe 👩‍💻"),
  ])
  func namesCannotDriveTheTerminal(_ name: String, _ shown: String) {
    #expect(Table.printable(name) == shown)
  }

  @Test func factsAreAlignedByTheLongestName() {
    #expect(Table.facts([("id", "1"), ("status", "ok"), ("x", "")]) == "id      1\nstatus  ok\nx       -")
  }
}
