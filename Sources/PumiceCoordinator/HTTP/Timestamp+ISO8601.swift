import PumiceModel

extension Timestamp {
  /// As Cinder writes it: UTC without a zone, with six decimals (`2026-11-21T01:02:03.000000`).
  var cinder: String { text(fraction: ".", digits: 6, zone: "") }

  /// As Nova writes it, and RFC 3339 (`2026-11-21T01:02:03Z`).
  var zulu: String { text(fraction: "", digits: 0, zone: "Z") }

  private func text(fraction: String, digits: Int, zone: String) -> String {
    let seconds = milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000
    let day = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
    let second = Int(seconds - day * 86_400)
    let (year, month, dayOfMonth) = Self.civil(day)
    var text = "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(dayOfMonth, 2))T"
    text += "\(Self.padded(second / 3600, 2)):\(Self.padded(second / 60 % 60, 2)):\(Self.padded(second % 60, 2))"
    if digits > 0 { text += fraction + Self.padded(Int(milliseconds - seconds * 1000), 3) + "000" }
    return text + zone
  }

  /// The Gregorian date of a day since 1970-01-01, counting years from March so that leap days come last.
  private static func civil(_ day: Int64) -> (year: Int, month: Int, day: Int) {
    let shifted = day + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
    return (Int(year), Int(month < 10 ? month + 3 : month - 9), Int(dayOfYear - (153 * month + 2) / 5 + 1))
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  /// Reads `2026-11-21`, optionally with `T01:02:03`, a fraction and `Z`; `nil` for anything else.
  init?(iso8601 text: String) {
    let parts = text.split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == "T" || $0 == " " }
    let date = parts[0].split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
    guard date.count == 3, let year = date[0], let month = date[1], let day = date[2],
      (1...9999).contains(year), (1...12).contains(month), (1...31).contains(day)
    else { return nil }
    var seconds: [Double] = [0, 0, 0]
    if parts.count == 2 {
      var time = parts[1]
      if time.hasSuffix("Z") { time = time.dropLast() } else if time.hasSuffix("+00:00") { time = time.dropLast(6) }
      let fields = time.split(separator: ":", omittingEmptySubsequences: false).map { Double($0) }
      guard (2...3).contains(fields.count) else { return nil }
      for (index, field) in fields.enumerated() {
        guard let field, field >= 0, field < (index == 0 ? 24 : index == 1 ? 60 : 61) else { return nil }
        seconds[index] = field
      }
    }
    let shiftedYear = month <= 2 ? year - 1 : year
    let yearOfEra = shiftedYear % 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let days = shiftedYear / 400 * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    let ofDay = seconds[0] * 3600 + seconds[1] * 60 + seconds[2]
    self.init(milliseconds: Int64(days) * 86_400_000 + Int64(ofDay * 1000))
  }
}
