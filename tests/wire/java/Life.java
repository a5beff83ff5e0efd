import com.baidu.aip.imagesearch.AipImageSearch;
import java.io.IOException;
import java.net.Proxy;
import java.net.URL;
import java.net.URLConnection;
import java.net.URLStreamHandler;
import java.util.HashMap;
import org.json.JSONObject;

/**
 * Takes one picture through its life in each library with the vendor's Java SDK, and prints every answer.
 *
 * <pre>java -cp 'jars/*' Life.java ADDRESS APP_ID API_KEY SECRET_KEY picture.jpg copy.jpg</pre>
 */
public class Life {
    /** The whole change that a program needs: calls to the vendor's host go to another address. */
    static void redirect(String address) throws IOException {
        URL plain = new URL("https://localhost/"); // remembers how Java itself opens https
        URL.setURLStreamHandlerFactory(protocol -> !protocol.equals("https") ? null : new URLStreamHandler() {
            @Override
            protected URLConnection openConnection(URL url) throws IOException {
                return openConnection(url, Proxy.NO_PROXY);
            }

            @Override
            protected URLConnection openConnection(URL url, Proxy proxy) throws IOException {
                boolean ours = url.getHost().equals("aip.baidubce.com");
                URL target = ours ? new URL(address + url.getFile()) : new URL(plain, url.toExternalForm());
                return target.openConnection(proxy);
            }
        });
    }

    static HashMap<String, String> options(String... pairs) {
        HashMap<String, String> options = new HashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            options.put(pairs[i], pairs[i + 1]);
        }
        return options;
    }

    static JSONObject sameHq(AipImageSearch client, String picture, String copy) {
        JSONObject added = client.sameHqAdd(picture, options("brief", "{\"id\": 1}", "tags", "1,2"));
        String sign = added.getString("cont_sign");
        return new JSONObject()
            .put("added", added)
            .put("again", client.sameHqAdd(picture, options("brief", "x")))
            .put("found", client.sameHqSearch(copy, options("rn", "1")))
            .put("updated", client.sameHqUpdateContSign(sign, options("brief", "changed")))
            .put("changed", client.sameHqSearch(picture, options("tags", "")))
            .put("deleted", client.sameHqDeleteBySign(sign, options()))
            .put("gone", client.sameHqSearch(picture, options()));
    }

    static JSONObject similar(AipImageSearch client, String picture, String copy) {
        JSONObject added = client.similarAdd(picture, options("brief", "{\"id\": 1}", "tags", "1,2"));
        String sign = added.getString("cont_sign");
        return new JSONObject()
            .put("added", added)
            .put("again", client.similarAdd(picture, options("brief", "x")))
            .put("found", client.similarSearch(copy, options("rn", "1")))
            .put("updated", client.similarUpdateContSign(sign, options("brief", "changed")))
            .put("changed", client.similarSearch(picture, options("tags", "")))
            .put("deleted", client.similarDeleteBySign(sign, options()))
            .put("gone", client.similarSearch(picture, options()));
    }

    static JSONObject product(AipImageSearch client, String picture, String copy) {
        JSONObject added = client.productAdd(picture, options("brief", "{\"id\": 1}", "class_id1", "1"));
        String sign = added.getString("cont_sign");
        return new JSONObject()
            .put("added", added)
            .put("again", client.productAdd(picture, options("brief", "x")))
            .put("found", client.productSearch(copy, options("rn", "1")))
            .put("updated", client.productUpdateContSign(sign, options("brief", "changed")))
            .put("changed", client.productSearch(picture, options("class_id1", "")))
            .put("deleted", client.productDeleteBySign(sign, options()))
            .put("gone", client.productSearch(picture, options()));
    }

    public static void main(String[] args) throws IOException {
        redirect(args[0]);
        AipImageSearch client = new AipImageSearch(args[1], args[2], args[3]);
        JSONObject answers = new JSONObject()
            .put("sameHq", sameHq(client, args[4], args[5]))
            .put("similar", similar(client, args[4], args[5]))
            .put("product", product(client, args[4], args[5]))
            .put("stranger", new AipImageSearch(args[1], args[2], "wrong").similarSearch(args[4], options()));
        System.out.println(answers);
    }
}
