;;; caffe-lint in Emacs 29 and later, with its own eglot. Put it into your init file.

(define-derived-mode caffe-prototxt-mode prog-mode "prototxt"
  "A mode for the solvers and nets of Caffe."
  (setq-local comment-start "# ")
  (setq-local comment-end "")
  (setq-local font-lock-defaults
              '((("\\_<layers?\\_>" . font-lock-keyword-face)
                 ("\\_<\\([a-z_0-9]+\\)\\s-*[:{]" 1 font-lock-variable-name-face)
                 ("\\_<\\(true\\|false\\|TRAIN\\|TEST\\)\\_>" . font-lock-constant-face))))
  (modify-syntax-entry ?# "<")
  (modify-syntax-entry ?\n ">")
  (modify-syntax-entry ?_ "_"))

(add-to-list 'auto-mode-alist '("\\.\\(prototxt\\|pbtxt\\|txtpb\\)\\'" . caffe-prototxt-mode))

(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs
               '(caffe-prototxt-mode . ("python3" "-m" "caffe_lint" "server"
                                        :initializationOptions (:formatting :json-false)))))

(add-hook 'caffe-prototxt-mode-hook #'eglot-ensure)
