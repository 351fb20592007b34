#if canImport(Glibc)
  import Glibc
#endif

/// Where text goes: the process's own streams, or what a test reads.
struct Console: Sendable {
  /// To standard output, with a line end.
  let write: @Sendable (String) -> Void
  /// To standard error, with a line end.
  let complain: @Sendable (String) -> Void
  /// Replaces the progress line on a terminal; `nil` takes it away. Does nothing where there is no terminal.
  let showProgress: @Sendable (String?) -> Void

  @TaskLocal static var current = Console.standard

  static let standard = Console(
    write: { text in print(text) },
    complain: { text in Console.put(text + "\n", to: STDERR_FILENO) },
    showProgress: { text in
      if isatty(STDERR_FILENO) == 1 { Console.put("\r\u{1B}[K" + (text ?? ""), to: STDERR_FILENO) }
    })

  private static func put(_ text: String, to descriptor: Int32) {
    var text = text
    text.withUTF8 { bytes in
      // A message that can't be written has nobody to be told about it.
      _ = Glibc.write(descriptor, bytes.baseAddress, bytes.count)
    }
  }
}
