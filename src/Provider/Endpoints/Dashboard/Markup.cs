using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;

namespace RedisSessions.Endpoints.Dashboard;

/// <summary>
/// HTML. It is made from interpolated text, of which what is literal is taken as it stands, and everything else is encoded unless it is
/// markup itself: nothing that comes from a user can become an element or an attribute, for there is no other way to make one.
/// </summary>
internal readonly record struct Markup(string Text)
{
    public static Markup None => new("");

    public static Markup Of(Handler html) => new(html.ToString());

    [InterpolatedStringHandler]
    public readonly ref struct Handler(int literalLength, int formattedCount)
    {
        private readonly StringBuilder _text = new(literalLength + (formattedCount * 16));

        public void AppendLiteral(string html) => _text.Append(html);

        public void AppendFormatted(Markup html) => _text.Append(html.Text);

        public void AppendFormatted(IEnumerable<Markup> all)
        {
            foreach (var html in all)
            {
                _text.Append(html.Text);
            }
        }

        public void AppendFormatted(string? text) => _text.Append(HtmlEncoder.Default.Encode(text ?? ""));

        public void AppendFormatted<T>(T value, string? format = null)
            where T : IFormattable => AppendFormatted(value.ToString(format, CultureInfo.InvariantCulture));

        public override string ToString() => _text.ToString();
    }
}
