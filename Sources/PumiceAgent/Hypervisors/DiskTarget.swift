import PumiceModel

/// The name of a disk in a domain (`vdb`), and with it the bus it hangs on.
struct DiskTarget: Sendable, Hashable {
  enum Bus: String, Sendable, CaseIterable {
    case virtio
    case scsi

    var prefix: String {
      switch self {
      case .virtio: "vd"
      case .scsi: "sd"
      }
    }
  }

  let name: String
  let bus: Bus

  /// Reads what a user asked for: `vdb`, or `/dev/vdb` as OpenStack's clients write it.
  init(asked name: String) throws(StorageError) {
    let short = name.hasPrefix("/dev/") ? name.dropFirst(5) : name[...]
    let letters = short.dropFirst(2)
    guard let bus = Bus.allCases.first(where: { short.hasPrefix($0.prefix) }), (1...3).contains(letters.utf8.count),
      letters.utf8.allSatisfy({ (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) })
    else {
      throw .invalid("device", "must be a name such as vdb (virtio) or sdb (virtio-scsi), not \"\(name)\".")
    }
    self.name = String(short)
    self.bus = bus
  }

  /// The first name on the bus that is not taken: `vda` … `vdz`, `vdaa` …
  init(firstFreeOn bus: Bus, besides taken: Set<String>) {
    var index = 0
    while taken.contains(bus.prefix + Self.letters(index)) { index += 1 }
    name = bus.prefix + Self.letters(index)
    self.bus = bus
  }

  init(name: String, bus: Bus) {
    self.name = name
    self.bus = bus
  }

  /// 0 is `a`, 25 `z`, 26 `aa`.
  private static func letters(_ index: Int) -> String {
    var letters: [Character] = []
    var rest = index
    repeat {
      letters.insert(Character(UnicodeScalar(UInt8(ascii: "a") + UInt8(rest % 26))), at: 0)
      rest = rest / 26 - 1
    } while rest >= 0
    return String(letters)
  }
}
