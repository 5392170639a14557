/* Says on the page what upstream's scripts swallow: a refused click, Redis away, the dashboard stopped. */
(function ($) {
    var $trouble = $('#trouble');

    $(document).ajaxError(function (event, xhr, options) {
        if (xhr.status >= 400 || xhr.status === 0) {
            var answer = xhr.responseJSON || {};
            $trouble.text(answer.message || 'The dashboard does not answer. What you see may be out of date.');
            $trouble.prop('hidden', false).data('refused', options.type === 'POST');
        }
    });

    $(document).ajaxSuccess(function (event, xhr, options) {
        // A refresh that works does not mean that the refused click before it did.
        if (!$trouble.data('refused') || options.type === 'POST') {
            $trouble.prop('hidden', true).data('refused', false);
        }
    });
})(jQuery);
