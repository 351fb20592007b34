import PumiceModel

extension StorageError {
  /// What a failed LVM command says, as an error about one attempt.
  ///
  /// LVM's exit status tells little: 5 is any failure, 3 a command line that it does not understand, 4 a start that failed
  /// (lvm(8), "EXIT STATUS"; lib/commands/errors.h). What went wrong is in its messages, in English under `LC_ALL=C`.
  static func lvm(_ attempt: String, exitCode: Int32?, message: String) -> StorageError {
    let lines = message.split(separator: "\n").map { line in
      line.drop(while: \.isWhitespace)
    }.filter { !$0.isEmpty && !$0.hasPrefix("WARNING:") && !$0.hasPrefix("File descriptor ") }
    let reason = lines.suffix(3).joined(separator: " ")
    let text = lines.joined(separator: " ").lowercased()
    guard let exitCode else {
      return StorageError(
        .unavailable, "\(attempt) failed: LVM died of a signal\(reason.isEmpty ? "." : ". \(reason)")")
    }
    if exitCode == 3 {
      return StorageError(
        .unsupported, "\(attempt) failed: this version of LVM does not take the command. \(sentence(reason))")
    }
    let (code, hint) = meaning(of: text)
    let suffix = hint.map { " \($0)" } ?? ""
    return StorageError(code, "\(attempt) failed: \(sentence(reason.isEmpty ? "LVM gave no reason" : reason))\(suffix)")
  }

  /// The first line that matches, from the special to the general.
  private static func meaning(of text: String) -> (Code, hint: String?) {
    func says(_ phrases: String...) -> Bool { phrases.contains { text.contains($0) } }
    if says("metadata too large for circular buffer", "vg metadata too large", "insufficient space in metadata area") {
      return (
        .noSpace,
        "The group's metadata area is full: remove logical volumes, or add a physical volume made with a larger --metadatasize."
      )
    }
    if says(
      "insufficient free space", "insufficient suitable", "insufficient free extents", "not enough free",
      "reached threshold", "volume too large", "out of data space", "no free space", "no space left",
      "size is too big", "exceeds the size limit")
    {
      return (.noSpace, nil)
    }
    if says("locked by", "can't get lock", "cannot get lock", "resource temporarily unavailable", "failed to lock") {
      return (.unavailable, nil)
    }
    if says("while pvs are missing", "missing physical volume", "couldn't find device", "missing pv", "is partial") {
      return (.unavailable, "A physical volume of the group is missing.")
    }
    if says("transaction_id", "manual repair", "check of pool", "metadata inconsistent", "needs_check") {
      return (.failed, "The pool's metadata must be repaired: see lvmthin(7), \"Metadata check and repair\".")
    }
    if says("no data available") {
      return (
        .failed,
        "The thin pool does not have it, although LVM does: its content is lost, unless an older state of the pool's metadata has it (lvmthin(7), \"Metadata check and repair\"). It is not made anew by itself."
      )
    }
    if says("only while inactive", " in use", "is used by", "open count", "device or resource busy") {
      return (.inUse, nil)
    }
    if says("already exists") { return (.conflict, nil) }
    if says(
      "device-mapper driver", "mapper/control", "target(s) not detected", "target support", "incompatible libdevmapper",
      "thin_check: execvp failed", "thin_check execution failed")
    {
      return (.missingPart, "Device-mapper or one of its targets or tools is missing on this node.")
    }
    if says("permission denied", "operation not permitted", "must be root", "need to be root") {
      return (.forbidden, nil)
    }
    if says("failed to find", "not found", "can't find", "cannot find") { return (.notFound, nil) }
    return (.failed, nil)
  }

  private static func sentence(_ text: String) -> String {
    text.hasSuffix(".") || text.hasSuffix("?") ? text : "\(text)."
  }
}
