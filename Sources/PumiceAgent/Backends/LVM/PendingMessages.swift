/// What LVM has written down to tell thin pools, and not crossed out: a crash came between. It is not known whether the
/// kernel has been told.
///
/// A thin volume is made, and removed, in three steps: LVM's metadata gets the change together with a message for the pool;
/// the kernel gets the message; the message is crossed out (lvm2, lib/metadata/thin_manip.c: `update_thin_pool_lv`). After
/// a crash in between LVM 2.03.16 delivers the message at the next creation in the pool, or when the pool grows, and at
/// nothing else. Until then a volume that was being made can't be activated ("No data available"). A volume that is removed
/// meanwhile stays in the pool if the message had been delivered, and the next one that is made gets its number, and with
/// that its bytes. No report of LVM shows any of this, so the metadata itself is read.
struct PendingMessages: Equatable {
  /// Thin pools with messages.
  private(set) var pools: Set<String> = []
  /// The thin volumes that the kernel was to make.
  private(set) var creations: Set<String> = []

  /// Reads the metadata of a group as LVM keeps it on its disks.
  init(metadata text: String) {
    var sections: [Substring] = []
    for line in text.split(separator: "\n") {
      let line = line.drop(while: \.isWhitespace)
      if line.hasSuffix(" {") {
        sections.append(line.dropLast(2))
        if isMessage(sections) { pools.insert(String(sections[2])) }
      } else if line == "}" {
        _ = sections.popLast()
      } else if isMessage(sections), line.hasPrefix("create = \"") {
        creations.insert(String(line.dropFirst(10).prefix { $0 != "\"" }))
      }
    }
  }

  init() {}

  /// As in `group { logical_volumes { pool { segment1 { message1 {`.
  private func isMessage(_ sections: [Substring]) -> Bool {
    sections.count == 5 && sections[1] == "logical_volumes" && sections[3].hasPrefix("segment")
      && sections[4].hasPrefix("message")
  }
}
